#pragma once

#include <memory>

#include "runner/engine.h"
#include "runner/npu/npu_model.h"

namespace runner {

struct LayeredEngineOptions {
  // Graphs write new K/V rows where they belong, instead of into a buffer that the processor
  // copies from, wherever they are aligned. Not proven on hardware.
  bool kv_in_place = false;
};

// An engine over graphs of single layers in NPU memory: it feeds one layer's output to the next,
// keeps K/V rows, positions and masks. Shares the graphs, owns everything else.
//
// Before each prefill run, and for every layer, rows past the prompt are zero, positions and mask
// are written in full; only rows of the prompt are taken over into the cache, and rows behind them
// are zero. A graph multiplies what its mask hides by zero, which makes NaN of what is no number.
//
// After a failure of the device every call fails with the same message; engines of other tasks go
// on. Logits are bf16, or a list of scored tokens for a model compiled with a top-k. Steps of
// decoding allocate nothing, unless layers are loaded on demand.
std::unique_ptr<Engine> make_layered_engine(std::shared_ptr<const NpuModel> model,
                                            const LayeredEngineOptions& options = {});

}  // namespace runner
