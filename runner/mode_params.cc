#include "runner/mode_params.h"

#include <simdjson.h>

#include <array>
#include <cmath>
#include <limits>

#include "runner/error.h"
#include "runner/excerpt.h"
#include "runner/file_text.h"

namespace runner {
namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;

[[noreturn]] void throw_bad(std::string_view key, element value, std::string_view expected) {
  throw Error(ErrorCode::kBadOption, "\"" + std::string(key) + "\" is " +
                                         excerpt(simdjson::minify(value)) + ", expected " +
                                         std::string(expected));
}

void read(std::string_view key, element value, std::optional<bool>& out) {
  if (value.type() != element_type::BOOL) throw_bad(key, value, "true or false");
  out = bool(value);
}

void read(std::string_view key, element value, std::optional<double>& out) {
  double number = 0;
  if (value.get(number) != simdjson::SUCCESS) throw_bad(key, value, "a number");
  out = number;
}

// 64.0 is an integer too: some clients know only floating-point numbers.
void read(std::string_view key, element value, std::optional<int>& out) {
  double number = 0;
  if (value.get(number) != simdjson::SUCCESS || number != std::trunc(number) ||
      std::abs(number) > std::numeric_limits<int>::max()) {
    throw_bad(key, value, "an integer");
  }
  out = static_cast<int>(number);
}

void read(std::string_view key, element value, std::optional<std::string>& out) {
  std::string_view text;
  if (value.get(text) != simdjson::SUCCESS) throw_bad(key, value, "a string");
  out = std::string(text);
}

// Calls visit(key, field of each params…) for every setting; the one list of them.
template <typename Visit, typename... Params>
void for_each_field(Visit&& visit, Params&... params) {
  visit("enable_temperature", params.enable_temperature...);
  visit("temperature", params.temperature...);
  visit("enable_top_p_sampling", params.enable_top_p_sampling...);
  visit("top_p", params.top_p...);
  visit("enable_top_k_sampling", params.enable_top_k_sampling...);
  visit("top_k", params.top_k...);
  visit("enable_repetition_penalty", params.enable_repetition_penalty...);
  visit("repetition_penalty", params.repetition_penalty...);
  visit("penalty_window", params.penalty_window...);
  visit("system_prompt", params.system_prompt...);
  visit("enable_thinking", params.enable_thinking...);
  visit("chat_template_family", params.chat_template_family...);
  visit("b_bos", params.b_bos...);
  visit("max_token_len", params.max_token_len...);
  visit("precompute_len", params.precompute_len...);
}

}  // namespace

ModeParams parse_mode_params(std::string_view json_object) {
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  if (parser.parse(simdjson::padded_string(json_object)).get(object) != simdjson::SUCCESS) {
    throw Error(ErrorCode::kBadOption, "the settings are not a JSON object");
  }
  ModeParams params;
  for_each_field(
      [&](std::string_view key, auto& field) {
        element value;
        if (object.at_key(key).get(value) == simdjson::SUCCESS && !value.is_null()) {
          read(key, value, field);
        }
      },
      params);
  return params;
}

ModeParams read_post_config(const std::filesystem::path& path) {
  const std::string text = read_text_file(path);
  try {
    return parse_mode_params(text);
  } catch (const Error& error) {
    throw Error(ErrorCode::kBadModel, path.string() + ": " + error.what());
  }
}

ModeParams merge(const ModeParams& base, const ModeParams& over) {
  ModeParams merged = over;
  for_each_field(
      [](std::string_view, auto& field, const auto& fallback) {
        if (!field) field = fallback;
      },
      merged, base);
  return merged;
}

SamplerOptions sampler_options(const ModeParams& generation_config, const ModeParams& mode_param,
                               const ModeParams& setup) {
  const ModeParams values = merge(merge(generation_config, mode_param), setup);
  // A value in setup is a wish to use it, unless someone closer to the task said otherwise.
  const auto enabled = [&](auto flag, bool value_in_setup, bool fallback) {
    if (setup.*flag) return *(setup.*flag);
    if (mode_param.*flag) return *(mode_param.*flag);
    if (value_in_setup) return true;
    return (generation_config.*flag).value_or(fallback);
  };
  SamplerOptions options;
  options.enable_temperature = enabled(&ModeParams::enable_temperature,
                                       setup.temperature.has_value(), options.enable_temperature);
  options.enable_top_p =
      enabled(&ModeParams::enable_top_p_sampling, setup.top_p.has_value(), options.enable_top_p);
  options.enable_top_k =
      enabled(&ModeParams::enable_top_k_sampling, setup.top_k.has_value(), options.enable_top_k);
  options.enable_repetition_penalty =
      enabled(&ModeParams::enable_repetition_penalty, false, options.enable_repetition_penalty);
  options.temperature = static_cast<float>(values.temperature.value_or(options.temperature));
  options.top_p = static_cast<float>(values.top_p.value_or(options.top_p));
  options.top_k = values.top_k.value_or(options.top_k);
  options.repetition_penalty =
      static_cast<float>(values.repetition_penalty.value_or(options.repetition_penalty));
  options.penalty_window = values.penalty_window.value_or(options.penalty_window);
  return options;
}

}  // namespace runner
