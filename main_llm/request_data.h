#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/message.h"
#include "protocol/stream_input.h"
#include "runner/mode_params.h"
#include "runner/soft_prefix.h"

namespace main_llm {

// The `data` of a setup, checked for types. Every field has the protocol's default.
struct SetupRequest {
  std::string model;
  std::string response_format = "llm.utf-8";
  std::vector<std::string> inputs = {"llm.utf-8"};
  bool enoutput = true;
  std::string prompt;
  std::optional<std::uint64_t> seed;       // random for each inference when absent
  runner::ModeParams params;               // overrides of the model's mode_param
  std::optional<std::string> soft_prefix;  // raw JSON; needs the model's hidden size
};

// Reads it from an object, or from a string that holds one. Throws protocol::Error: kJsonFormat
// when there is no object, kModelLoading when a value has a wrong type or the model is missing.
SetupRequest parse_setup(const protocol::Request& request);

// A `soft_prefix` value: null for JSON null, else the prefix for a model of this hidden size.
// Throws runner::Error(kBadSoftPrefix) naming the key that was wrong and what was expected.
std::shared_ptr<const runner::SoftPrefix> parse_soft_prefix(std::string_view json, int hidden);

// The input of one inference, taken out of its `data`.
struct InferenceInput {
  std::string text;
  std::optional<std::string> soft_prefix;  // raw JSON where it was given, "null" included
};

// Input without stream: the text, or an object {"text", "soft_prefix"}. Throws protocol::Error
// (kModelRun) when there is none or it is something else.
InferenceInput parse_whole_input(const protocol::Request& request);

// One frame of a streamed input: an object, or a string that holds one. Throws protocol::Error:
// kModelRun when there is no data, kStreamIndex when the frame is wrong.
protocol::StreamFrame parse_stream_input(const protocol::Request& request);

// The text that the model is to see: undoes base64 where `object` says so. Throws protocol::Error:
// kBase64 (also when the bytes are not UTF-8), kModelRun when nothing is left.
std::string decode_input_text(std::string text, std::string_view object);

}  // namespace main_llm
