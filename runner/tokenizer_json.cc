#include "runner/tokenizer_json.h"

#include <simdjson.h>

#include <cstdint>
#include <optional>

#include "runner/error.h"
#include "runner/excerpt.h"

namespace runner {
namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

// The largest vocabularies have some 260,000 tokens; ids index tables, so they are bounded.
constexpr std::int64_t kMostTokens = 1 << 20;

// GPT-2's own way to cut text, for ByteLevel with use_regex
// (huggingface/tokenizers, pre_tokenizers/byte_level.rs).
constexpr const char* kByteLevelPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

[[noreturn]] void unsupported(std::string_view component, std::string_view type,
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
std::optional<element> find(const object& parent, std::string_view key) {
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

TokenId token_id(const element& value, std::string_view token) {
  const auto id = as<std::int64_t>(value, "the id of token " + excerpt(token));
  if (id < 0 || id >= kMostTokens) {
    refuse_tokenizer("token \"" + excerpt(token) + "\" has id " + std::to_string(id) +
                     ", expected 0 to " + std::to_string(kMostTokens - 1));
  }
  return static_cast<TokenId>(id);
}

// Calls visit(object, type) for the component itself, or for the parts of a Sequence in turn.
// A Sequence within a Sequence is none of those that exist, and would nest without limit.
template <typename Visit>
void each_component(const element& component, std::string_view name, std::string_view list_key,
                    const Visit& visit) {
  const auto outer = as<object>(component, name);
  const auto type = required<std::string_view>(outer, "type");
  if (type != "Sequence") return visit(outer, type);
  for (const element part : required<array>(outer, list_key)) {
    const auto inner = as<object>(part, name);
    visit(inner, required<std::string_view>(inner, "type"));
  }
}

void read_normalizer(const object& root, TokenizerJson& result) {
  const std::optional<element> normalizer = find(root, "normalizer");
  if (!normalizer) return;
  each_component(*normalizer, "normalizer", "normalizers", [&](const object&, auto type) {
    if (type != "NFC") unsupported("normalizer", type, "NFC");
    result.nfc = true;
  });
}

SplitRule::Behavior split_behavior(std::string_view name) {
  using Behavior = SplitRule::Behavior;
  if (name == "Removed") return Behavior::kRemoved;
  if (name == "Isolated") return Behavior::kIsolated;
  if (name == "MergedWithPrevious") return Behavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return Behavior::kMergedWithNext;
  if (name == "Contiguous") return Behavior::kContiguous;
  unsupported("behavior of the pre_tokenizer Split", name,
              "Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous");
}

SplitRule read_split(const object& split) {
  SplitRule rule;
  const auto pattern = required<object>(split, "pattern");
  if (const auto regex = find(pattern, "Regex")) {
    rule.pattern = as<std::string_view>(*regex, "pattern");
  } else {
    rule.pattern = literal_pattern(required<std::string_view>(pattern, "String"));
  }
  rule.behavior = split_behavior(required<std::string_view>(split, "behavior"));
  rule.invert = optional(split, "invert", false);
  return rule;
}

void read_pre_tokenizer(const object& root, TokenizerJson& result) {
  constexpr std::string_view kSupported = "Split and ByteLevel, the last of them ByteLevel";
  const std::optional<element> pre_tokenizer = find(root, "pre_tokenizer");
  if (!pre_tokenizer) unsupported("pre_tokenizer", "null", kSupported);
  bool is_complete = false;  // bytes have become symbols; no pattern could match text any more
  each_component(
      *pre_tokenizer, "pre_tokenizer", "pretokenizers",
      [&](const object& component, std::string_view type) {
        if (is_complete) unsupported("pre_tokenizer after ByteLevel", type, kSupported);
        if (type == "Split") {
          result.splits.push_back(read_split(component));
        } else if (type == "ByteLevel") {
          is_complete = true;
          result.prefix_space = optional(component, "add_prefix_space", true);
          if (result.prefix_space && !result.splits.empty()) {
            unsupported("pre_tokenizer", "ByteLevel with add_prefix_space after Split", kSupported);
          }
          if (optional(component, "use_regex", true)) {
            result.splits.push_back({kByteLevelPattern, SplitRule::Behavior::kIsolated, false});
          }
        } else {
          unsupported("pre_tokenizer", type, kSupported);
        }
      });
  if (!is_complete) unsupported("pre_tokenizer", "without ByteLevel", kSupported);
}

void check_decoder(const object& root) {
  const std::optional<element> decoder = find(root, "decoder");
  if (!decoder) unsupported("decoder", "null", "ByteLevel");
  each_component(*decoder, "decoder", "decoders", [](const object&, std::string_view type) {
    if (type != "ByteLevel") unsupported("decoder", type, "ByteLevel");
  });
}

void check_model(const object& model) {
  const auto type = optional<std::string_view>(model, "type", "BPE");
  if (type != "BPE") unsupported("model", type, "BPE");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const auto affix = optional<std::string_view>(model, key, "");
    if (!affix.empty()) unsupported(key, affix, "none");
  }
  if (optional(model, "byte_fallback", false)) unsupported("byte_fallback", "true", "false");
  if (const auto dropout = find(model, "dropout")) {
    double share = 0;
    if (dropout->get(share) || share != 0) unsupported("dropout", "other than 0", "none");
  }
}

// "a b" in older files, ["a", "b"] in newer ones.
std::pair<std::string, std::string> read_merge(const element& merge) {
  std::string_view text;
  if (merge.get(text) == simdjson::SUCCESS) {
    const std::size_t space = text.find(' ');
    if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) {
      refuse_tokenizer("merge \"" + excerpt(text) + "\" is not two tokens with a space between");
    }
    return {std::string(text.substr(0, space)), std::string(text.substr(space + 1))};
  }
  const auto pair = as<array>(merge, "a merge");
  if (pair.size() != 2)
    refuse_tokenizer("a merge has " + std::to_string(pair.size()) + " parts, expected 2");
  return {std::string(as<std::string_view>(pair.at(0), "a merge")),
          std::string(as<std::string_view>(pair.at(1), "a merge"))};
}

void read_model(const object& root, TokenizerJson& result) {
  const auto model = required<object>(root, "model");
  check_model(model);
  result.ignore_merges = optional(model, "ignore_merges", false);
  const auto vocabulary = required<object>(model, "vocab");
  result.vocabulary.reserve(vocabulary.size());
  for (const auto [token, id] : vocabulary) {
    result.vocabulary.emplace_back(token, token_id(id, token));
  }
  const auto merges = required<array>(model, "merges");
  result.merges.reserve(merges.size());
  for (const element merge : merges) result.merges.push_back(read_merge(merge));
}

void read_added_tokens(const object& root, TokenizerJson& result) {
  const std::optional<element> tokens = find(root, "added_tokens");
  if (!tokens) return;
  for (const element entry : as<array>(*tokens, "added_tokens")) {
    const auto fields = as<object>(entry, "an added token");
    AddedToken token;
    token.text = required<std::string_view>(fields, "content");
    if (token.text.empty()) continue;
    const std::optional<element> id = find(fields, "id");
    if (!id) refuse_tokenizer("added token \"" + excerpt(token.text) + "\" has no id");
    token.id = token_id(*id, token.text);
    token.special = optional(fields, "special", false);
    token.lstrip = optional(fields, "lstrip", false);
    token.rstrip = optional(fields, "rstrip", false);
    token.normalized = optional(fields, "normalized", !token.special);
    if (optional(fields, "single_word", false)) {
      unsupported("single_word of added token", token.text, "false");
    }
    result.added_tokens.push_back(std::move(token));
  }
}

}  // namespace

TokenizerJson parse_tokenizer_json(std::string_view json) {
  simdjson::dom::parser parser;
  const simdjson::padded_string padded(json);
  object root;
  if (const auto error = parser.parse(padded).get(root)) {
    refuse_tokenizer(std::string("is not a JSON object: ") + simdjson::error_message(error));
  }
  TokenizerJson result;
  read_model(root, result);
  read_added_tokens(root, result);
  read_normalizer(root, result);
  read_pre_tokenizer(root, result);
  check_decoder(root);
  return result;
}

void refuse_tokenizer(const std::string& what) {
  throw Error(ErrorCode::kBadModel, "tokenizer.json: " + what);
}

}  // namespace runner
