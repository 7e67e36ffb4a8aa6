#pragma once

#include <string>

#include "tests/ax_sim/sim_model_writer.h"
#include "tests/runner/random_model.h"

// A random model of one layer for tests of single runs, written at the first call: hidden size 32,
// two K/V heads of 32; decode with 23 slots, a first chunk of 8 rows, a chunk behind 16 slots.
inline std::string tiny_model_file(const std::string& name) {
  static const TemporaryDirectory directory;
  static const bool written = [] {
    RandomModel shape;
    shape.layers = 1;
    shape.head_dim = 32;
    write_random_model(directory / "hf", shape);
    SimModelOptions options;
    options.source = directory / "hf";
    options.out_base = directory.path();
    options.name = "tiny";
    options.prefill = 8;
    options.context = 23;
    options.history = {16};
    write_sim_model(options);
    options.name = "tiny_topk";
    options.post_topk = 4;
    write_sim_model(options);
    options.name = "tiny_shape";
    options.post_topk = 0;
    options.shape_only = true;
    write_sim_model(options);
    return true;
  }();
  return written ? (directory / name).string() : "";
}
