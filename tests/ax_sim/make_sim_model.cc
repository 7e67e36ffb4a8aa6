// make_sim_model HF_DIR OUT_BASE --name NAME: a model directory for the simulator (README.md).

#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>

#include "tests/ax_sim/sim_model_writer.h"

int main(int argc, char** argv) {
  SimModelOptions options;
  bool no_prefill = false;
  CLI::App app("Writes OUT_BASE/NAME, a model for the simulator of AXERA's runtime.");
  app.add_option("hf_dir", options.source, "directory of a Qwen2 model")->required();
  app.add_option("out_base", options.out_base, "where the model's directory goes")->required();
  app.add_option("--name", options.name, "the model's name")->required();
  app.add_option("--prefill", options.prefill, "rows of a prefill run")->capture_default_str();
  app.add_option("--context", options.context, "history slots of decode")->capture_default_str();
  app.add_option("--history", options.history, "history slots of more prefill groups: 128,512,1024")
      ->delimiter(',');
  app.add_option("--precompute", options.precompute, "precompute_len; default: the last history");
  app.add_option("--post-topk", options.post_topk, "the post model gives the best K, not logits");
  app.add_flag("--no-prefill", no_prefill, "decode only");
  app.add_flag("--dynamic-load", options.dynamic_load, "layers are loaded for each run");
  app.add_flag("--placeholder", options.placeholder, "the prefill group lists one-slot caches");
  app.add_flag("--shape-only", options.shape_only, "no weights, for AX_SIM_FREE=1");
  CLI11_PARSE(app, argc, argv);
  if (no_prefill) options.prefill = 0;
  try {
    write_sim_model(options);
  } catch (const std::exception& error) {
    std::cerr << "make_sim_model: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
