#include "main_llm/request_data.h"

#include <simdjson.h>

#include <cmath>
#include <cstddef>
#include <span>
#include <utility>

#include "protocol/base64.h"
#include "protocol/error.h"
#include "protocol/json_reader.h"
#include "runner/error.h"
#include "runner/excerpt.h"

namespace main_llm {
namespace {

using protocol::DataKind;
using protocol::Request;
using protocol::WireCode;
using simdjson::dom::element;

[[noreturn]] void throw_bad_setup(std::string_view key, element value, std::string_view expected) {
  throw protocol::Error(WireCode::kModelLoading, "\"" + std::string(key) + "\" is " +
                                                     runner::excerpt(simdjson::minify(value)) +
                                                     ", expected " + std::string(expected));
}

bool get_object(const protocol::JsonDocument& document, simdjson::dom::object& object) {
  return document.ok() && document.root().get(object) == simdjson::SUCCESS;
}

// The value of a key; nullopt when it is absent or null.
std::optional<element> find(simdjson::dom::object object, std::string_view key) {
  const auto value = protocol::find_member(object, key);
  return value && !value->is_null() ? value : std::nullopt;
}

std::string read_string(std::string_view key, element value) {
  std::string_view text;
  if (value.get(text) != simdjson::SUCCESS) throw_bad_setup(key, value, "a string");
  return std::string(text);
}

std::vector<std::string> read_inputs(element value) {
  constexpr std::string_view kExpected = "a string or an array of strings";
  simdjson::dom::array array;
  if (value.get(array) != simdjson::SUCCESS) {
    if (!value.is_string()) throw_bad_setup("input", value, kExpected);
    return {read_string("input", value)};
  }
  std::vector<std::string> inputs;
  for (const element item : array) {
    if (!item.is_string()) throw_bad_setup("input", value, kExpected);
    inputs.push_back(read_string("input", item));
  }
  return inputs;
}

std::uint64_t read_seed(element value) {
  std::uint64_t seed = 0;
  if (value.get(seed) == simdjson::SUCCESS) return seed;
  std::int64_t negative = 0;
  if (value.get(negative) != simdjson::SUCCESS) throw_bad_setup("seed", value, "an integer");
  return static_cast<std::uint64_t>(negative);
}

[[noreturn]] void throw_bad_prefix(const std::string& message) {
  throw runner::Error(runner::ErrorCode::kBadSoftPrefix, message);
}

// The prefix of {"len":P,"data_b64":"…"}.
runner::SoftPrefix read_inline_prefix(simdjson::dom::object object, int hidden) {
  const auto len = protocol::find_member(object, "len");
  const auto data = protocol::find_member(object, "data_b64");
  if (!len) throw_bad_prefix("\"len\" is missing");
  if (!data) throw_bad_prefix("\"data_b64\" is missing");
  std::int64_t rows = 0;
  if (len->get(rows) != simdjson::SUCCESS) {
    throw_bad_prefix("\"len\" is " + runner::excerpt(simdjson::minify(*len)) +
                     ", expected an integer");
  }
  std::string_view text;
  if (data->get(text) != simdjson::SUCCESS) throw_bad_prefix("\"data_b64\" is not a string");
  const std::optional<std::string> bytes = protocol::base64_decode(text);
  if (!bytes) throw_bad_prefix("\"data_b64\" is not base64 (standard alphabet, padded)");
  return runner::SoftPrefix::from_bytes(std::as_bytes(std::span(*bytes)), rows, hidden);
}

}  // namespace

SetupRequest parse_setup(const Request& request) {
  if (request.data_kind != DataKind::kObject && request.data_kind != DataKind::kString) {
    throw protocol::Error(WireCode::kJsonFormat, "setup needs an object as data");
  }
  const protocol::JsonDocument document(request.data);
  simdjson::dom::object object;
  if (!get_object(document, object)) {
    throw protocol::Error(WireCode::kJsonFormat, "setup's data is not a JSON object");
  }

  SetupRequest setup;
  const auto model = find(object, "model");
  if (!model) throw protocol::Error(WireCode::kModelLoading, "\"model\" is missing");
  setup.model = read_string("model", *model);
  if (const auto value = find(object, "response_format")) {
    setup.response_format = read_string("response_format", *value);
    if (setup.response_format != "llm.utf-8" && setup.response_format != "llm.utf-8.stream") {
      throw_bad_setup("response_format", *value, "\"llm.utf-8\" or \"llm.utf-8.stream\"");
    }
  }
  if (const auto value = find(object, "input")) setup.inputs = read_inputs(*value);
  if (const auto value = find(object, "enoutput")) {
    if (!value->is_bool()) throw_bad_setup("enoutput", *value, "true or false");
    setup.enoutput = bool(*value);
  }
  if (const auto value = find(object, "prompt")) setup.prompt = read_string("prompt", *value);
  if (const auto value = find(object, "seed")) setup.seed = read_seed(*value);
  if (const auto value = find(object, "soft_prefix")) setup.soft_prefix = simdjson::minify(*value);
  setup.params = runner::parse_mode_params(request.data);
  return setup;
}

std::shared_ptr<const runner::SoftPrefix> parse_soft_prefix(std::string_view json, int hidden) {
  if (json == "null") return nullptr;
  const protocol::JsonDocument document(json);
  simdjson::dom::object object;
  if (!get_object(document, object)) {
    throw_bad_prefix("it is " + runner::excerpt(json) +
                     ", expected an object {\"len\",\"data_b64\"} or {\"name\"}");
  }
  if (const auto value = protocol::find_member(object, "name")) {
    std::string_view name;
    if (value->get(name) != simdjson::SUCCESS) throw_bad_prefix("\"name\" is not a string");
    throw_bad_prefix("no stored prefix \"" + std::string(name) + "\"");
  }
  runner::SoftPrefix prefix = read_inline_prefix(object, hidden);
  if (const auto value = protocol::find_member(object, "scale")) {
    double scale = 0;
    if (value->get(scale) != simdjson::SUCCESS) throw_bad_prefix("\"scale\" is not a number");
    prefix = prefix.scaled(static_cast<float>(scale));
  }
  return std::make_shared<const runner::SoftPrefix>(std::move(prefix));
}

InferenceInput parse_whole_input(const Request& request) {
  switch (request.data_kind) {
    case DataKind::kString:
      return {request.data, std::nullopt};
    case DataKind::kAbsent:
    case DataKind::kNull:
      throw protocol::Error(WireCode::kModelRun, "empty input: \"data\" is missing");
    case DataKind::kObject:
    case DataKind::kOther:
      break;
  }
  const protocol::JsonDocument document(request.data);
  simdjson::dom::object object;
  std::string_view text;
  if (!get_object(document, object) || object.at_key("text").get(text) != simdjson::SUCCESS) {
    throw protocol::Error(WireCode::kModelRun,
                          "\"data\" is neither a string nor an object with a string \"text\"");
  }
  InferenceInput input{std::string(text), std::nullopt};
  if (const auto prefix = protocol::find_member(object, "soft_prefix")) {
    input.soft_prefix = simdjson::minify(*prefix);
  }
  return input;
}

protocol::StreamFrame parse_stream_input(const Request& request) {
  if (request.data.empty()) {
    throw protocol::Error(WireCode::kModelRun, "empty input: \"data\" is missing or empty");
  }
  auto parsed = protocol::parse_stream_frame(request.data);
  if (auto* error = std::get_if<protocol::StreamInputError>(&parsed)) {
    throw protocol::Error(WireCode::kStreamIndex, error->detail);
  }
  return std::get<protocol::StreamFrame>(std::move(parsed));
}

std::string decode_input_text(std::string text, std::string_view object) {
  if (protocol::object_has(object, "base64")) {
    std::optional<std::string> bytes = protocol::base64_decode(text);
    if (!bytes) {
      throw protocol::Error(WireCode::kBase64, "expected the standard alphabet, padded");
    }
    if (!simdjson::validate_utf8(bytes->data(), bytes->size())) {
      throw protocol::Error(WireCode::kBase64, "the decoded bytes are not UTF-8");
    }
    text = std::move(*bytes);
  }
  if (text.empty()) throw protocol::Error(WireCode::kModelRun, "empty input");
  return text;
}

}  // namespace main_llm
