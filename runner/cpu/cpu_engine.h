#pragma once

#include <memory>

#include "runner/cpu/cpu_weights.h"
#include "runner/cpu/thread_pool.h"
#include "runner/engine.h"

namespace runner {

// An engine that computes on the CPU, over shared weights and shared threads, with scratch memory
// of its own. Takes the pool for one decode step or one block of prefill rows at a time, so that
// engines of several tasks alternate.
//
// Results are exact in this sense: the logits of a row are the same bits whether rows came in one
// call, in pieces or one by one, and for any number of threads. They differ between kinds of CPU
// (vector length, fused multiply-add).
//
// Numbers: bf16 weights and K/V rows, everything else float32.
std::unique_ptr<Engine> make_cpu_engine(std::shared_ptr<const CpuWeights> weights,
                                        std::shared_ptr<ThreadPool> threads);

}  // namespace runner
