#include <CLI/CLI.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "main_llm/run_script_options.h"

namespace main_llm {
namespace {

constexpr const char* kGroup = "Options of AXERA's runner";

// The files of a model; returns those that mean nothing without the first of them.
std::vector<CLI::Option*> add_files(CLI::App& run, RunScriptOptions& script) {
  const auto add = [&run](const char* name, auto& value, const char* help) {
    return run.add_option(name, value, help)->group(kGroup);
  };
  std::vector<CLI::Option*> options = {
      add("--axmodel_num", script.layer_count, "number of layers")->check(CLI::Range(1, 1000)),
      add("--filename_post_axmodel", script.post, "graph of the norm and the vocabulary"),
      add("--filename_tokens_embed", script.embeddings, "embeddings, bf16 without a header"),
      add("--tokens_embed_num", script.embedding_rows, "rows of it")->check(CLI::Range(1, 1 << 24)),
      add("--tokens_embed_size", script.embedding_values, "values of a row")
          ->check(CLI::Range(1, 1 << 20)),
      add("--dynamic_load_axmodel_layer", script.load_layers_on_demand,
          "1: a layer's graph is loaded for each run of it, to save the NPU's memory")};
  for (CLI::Option* option : options) option->capture_default_str();
  options.push_back(add("--tokenizer_type", script.tokenizer_type,
                        "0 SentencePiece, 1 Qwen's tiktoken, 2 tokenizer.json or a service, 3 "
                        "Phi-3, 4 MiniCPM (default: 2 with a URL, else 0)")
                        ->check(CLI::Range(0, 4)));
  CLI::Option* tokenizer = add("--filename_tokenizer_model", script.tokenizer,
                               "its file (default: tokenizer.model), for type 2 its folder or URL");
  CLI::Option* url = add("--url_tokenizer_model", script.tokenizer_url, "a tokenizer service");
  tokenizer->excludes(url);
  options.insert(options.end(), {tokenizer, url});
  return options;
}

}  // namespace

void add_run_script_options(CLI::App& run, CLI::Option& model, RunScriptOptions& script) {
  CLI::Option* layers =
      run.add_option("--template_filename_axmodel", script.layers,
                     "in place of MODEL, with the following: the graphs of layers, %d for the "
                     "number; all paths are relative to the working directory")
          ->group(kGroup)
          ->excludes(&model);
  for (CLI::Option* option : add_files(run, script)) option->needs(layers);
  run.add_option("--bos", script.bos,
                 "1: the tokenizer's first token stands before everything (default: 1 for types "
                 "0, 3 and 4, else as the model's own files say)")
      ->group(kGroup);
  run.add_option("--post_config_path", script.post_config,
                 "samplers (default: post_config.json, if it is there)")
      ->group(kGroup)
      ->type_name("FILE");
  // What follows says nothing that would change an answer here; values that would are refused.
  const auto accept = [&run](const char* name, const char* help, std::set<std::string> values) {
    run.add_option_function<std::string>(
           name, [](const std::string&) {}, help)
        ->group(kGroup)
        ->check(CLI::IsMember(std::move(values)));
  };
  accept("--eos", "0: no chat template ends a prompt with the token that ends texts", {"0"});
  accept("--use_mmap_load_embed", "embeddings are always mapped", {"0", "1"});
  accept("--use_topk", "the graph itself tells whether it gives a list of tokens", {"0", "1"});
  accept("--devices", "0: there is one NPU; other numbers are those of PCIe cards", {"0"});
}

}  // namespace main_llm
