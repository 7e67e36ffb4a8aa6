#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "runner/mode_params.h"
#include "runner/npu/npu_description.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace main_llm {

// What scripts for AXERA's own runner say of a model, file by file: the programs `main` and
// `main_prefill` of github.com/AXERA-TECH/ax-llm (src/main.cpp until 2025), whose options `run`
// understands. Defaults are theirs; paths are relative to the working directory.
struct RunScriptOptions {
  std::string layers;  // --template_filename_axmodel, with %d; empty: no model is described
  int layer_count = 22;
  std::string post = "tinyllama-int8/tinyllama_post.axmodel";
  std::string embeddings = "tinyllama.model.embed_tokens.weight.bfloat16.bin";
  int embedding_rows = 32000;
  int embedding_values = 2048;  // of a row
  bool load_layers_on_demand = false;
  std::optional<int> tokenizer_type;  // 0 to 4; without it 2 where there is a URL, else 0
  std::string tokenizer;              // --filename_tokenizer_model: a file, for type 2 a folder too
  std::string tokenizer_url;
  std::optional<bool> bos;
  std::string post_config;  // empty: post_config.json, if it is there
};

// A model for the NPU that no mode json describes: the command line names its files.
struct DescribedModel {
  std::string name;                   // for people
  runner::NpuDescription npu;         // paths that can be opened as they are
  std::filesystem::path text_folder;  // with HuggingFace's files; empty: the tokenizer of `npu`
};

// Adds them to the command `run`. `model` is its argument MODEL, which they stand in place of.
void add_run_script_options(CLI::App& run, CLI::Option& model, RunScriptOptions& script);

// The model described. For tokenizer_type 2 the text side is that of the folder (or the
// tokenizer.json) named; where a service's URL is named, that of a folder with a tokenizer.json
// beside the graphs or in the working directory (named "tokenizer" or like it), as in AXERA's
// repositories, and only else the service.
// REQUIRES: `script.layers` is not empty.
// Throws runner::Error(kNotFound, kBadOption) naming the option, its value and what was expected.
DescribedModel describe_model(const RunScriptOptions& script);

// The settings that they come to: those of post_config.json, whose keys are StackFlow's, and
// whether the tokenizer's first token stands before everything (by default with SentencePiece).
// Throws runner::Error(kNotFound, kBadModel) naming the file, and what is wrong in it.
runner::ModeParams run_script_params(const RunScriptOptions& script);

}  // namespace main_llm
