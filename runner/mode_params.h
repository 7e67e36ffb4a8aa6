#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "runner/sampler.h"

namespace runner {

// The settings that a model's mode json (`mode_param`), a HuggingFace generation_config.json and
// a client's setup may all give. Absent means "not said here".
struct ModeParams {
  std::optional<bool> enable_temperature;
  std::optional<double> temperature;
  std::optional<bool> enable_top_p_sampling;
  std::optional<double> top_p;
  std::optional<bool> enable_top_k_sampling;
  std::optional<int> top_k;
  std::optional<bool> enable_repetition_penalty;
  std::optional<double> repetition_penalty;
  std::optional<int> penalty_window;
  std::optional<std::string> system_prompt;
  std::optional<bool> enable_thinking;              // of models that can be asked to
  std::optional<std::string> chat_template_family;  // in place of the model's chat template
  std::optional<bool> b_bos;                        // the tokenizer's bos before everything
  std::optional<int> max_token_len;                 // tokens, prompt and answer together
  std::optional<int> precompute_len;                // more than 0: a context model
};

// Reads the keys above from a JSON object given as text; null counts as absent, other keys are
// ignored. Throws Error(kBadOption) naming the key, its value and the type expected.
ModeParams parse_mode_params(std::string_view json_object);

// The same keys from post_config.json of AXERA's ax-llm, which has those of the samplers.
// Throws Error: kNotFound, or kBadModel; the message begins with the path.
ModeParams read_post_config(const std::filesystem::path& path);

// `over` where it says something, else `base`.
ModeParams merge(const ModeParams& base, const ModeParams& over);

// The sampler for a task. A sampler is on if setup or else the model's mode_param says so; where
// neither does, a value for it in setup switches it on; else generation_config decides, else
// StackFlow's default (SamplerOptions).
SamplerOptions sampler_options(const ModeParams& generation_config, const ModeParams& mode_param,
                               const ModeParams& setup);

}  // namespace runner
