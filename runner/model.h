#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "runner/embedding_table.h"
#include "runner/engine.h"
#include "runner/mode_params.h"
#include "runner/text/prompt_encoder.h"

namespace runner {

// A loaded model: everything that tasks naming it share. Immutable; the functions may be called
// from any thread.
struct Model {
  std::string name;
  std::string path;    // its folder
  std::string engine;  // "cpu", …
  ModelShape shape;
  ModeParams generation_config;  // defaults of the weakest kind
  ModeParams mode_param;         // of the mode json; precompute_len makes it a context model
  std::shared_ptr<const EmbeddingTable> embeddings;
  int list_tokens = 0;  // more than 0: logits come as a list of that many best tokens
  // An engine with its own scratch memory over the shared weights.
  std::function<std::unique_ptr<Engine>()> new_engine;
  // An encoder for one task. The HTTP tokenizer service is started with the system prompt; native
  // encoders need it in begin() only. Throws Error for options that the model cannot serve.
  std::function<std::unique_ptr<PromptEncoder>(const PromptOptions& options)> new_prompt_encoder;
  // Its encoders know nothing of the turns before: a service that writes the template itself.
  bool writes_single_turns = false;
  // Whether its device failed: then tasks from now on need it loaded anew. Null: it cannot.
  std::function<bool()> is_broken;
};

// How tokens are chosen on a model for settings given at setup (sampler_options()). Where the model
// gives a list of tokens only, StackFlow's default top-k is cut to it.
// Throws Error(kBadOption) for values out of range, and for what a list cannot serve.
SamplerOptions task_sampler(const Model& model, const ModeParams& setup);

// How conversations are written for a model's settings, those given at setup, and a system prompt.
PromptOptions prompt_options(const ModeParams& mode_param, const ModeParams& setup,
                             std::string system);

}  // namespace runner
