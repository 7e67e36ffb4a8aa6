#pragma once

#include <simdjson.h>

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "runner/excerpt.h"
#include "runner/text/tokenizer_json.h"

// Checked access to the parts of a tokenizer.json, for the files that read it.
namespace runner::tokenizer_json {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

[[noreturn]] inline void unsupported(std::string_view component, std::string_view type,
                                     std::string_view supported) {
  refuse_tokenizer(std::string(component) + " \"" + excerpt(type) +
                   "\" is not supported; supported: " + std::string(supported));
}

template <typename Value>
constexpr const char* type_name() {
  if constexpr (std::is_same_v<Value, bool>) return "true or false";
  if constexpr (std::is_same_v<Value, std::string_view>) return "a string";
  if constexpr (std::is_same_v<Value, std::int64_t>) return "a whole number";
  if constexpr (std::is_same_v<Value, array>) return "an array";
  return "an object";
}

template <typename Value>
Value as(const element& value, std::string_view name) {
  Value result{};
  if (value.get(result)) refuse_tokenizer(std::string(name) + " is not " + type_name<Value>());
  return result;
}

// The member `key`; nothing when it is absent or null.
inline std::optional<element> find(const object& parent, std::string_view key) {
  element value;
  if (parent.at_key(key).get(value) || value.is_null()) return std::nullopt;
  return value;
}

template <typename Value>
Value required(const object& parent, std::string_view key) {
  const std::optional<element> value = find(parent, key);
  if (!value) refuse_tokenizer(std::string(key) + " is missing");
  return as<Value>(*value, key);
}

template <typename Value>
Value optional(const object& parent, std::string_view key, Value fallback) {
  const std::optional<element> value = find(parent, key);
  return value ? as<Value>(*value, key) : fallback;
}

// The id of a token; throws for one that no vocabulary has room for.
TokenId token_id(const element& value, std::string_view token);

// tokenizer_json_pipeline.cc: what happens to text before and after the model.
void read_normalizer(const object& root, BpeDefinition& result);
void read_pre_tokenizer(const object& root, BpeDefinition& result);
void read_post_processor(const object& root, BpeDefinition& result);
void read_decoder(const object& root, BpeDefinition& result);

}  // namespace runner::tokenizer_json
