#pragma once

#include <cstddef>
#include <span>

#include "runner/bf16.h"

// What the sampler computes over all logits of a vocabulary, compiled for every instruction set
// worth having; the best one for this machine is chosen at run time.
namespace runner::logit_scan {

// For code that takes logits of either type.
inline float as_float(float logit) { return logit; }
inline float as_float(Bf16 logit) { return to_float(logit); }

// Neighbouring tokens that are looked at again together, or not at all.
inline constexpr std::size_t kBlock = 256;
constexpr std::size_t block_count(std::size_t vocab) { return (vocab + kBlock - 1) / kBlock; }

// maxima[b] = the largest of block b, without what is not a number; minus infinity if nothing is
// left. REQUIRES: maxima.size() == block_count(logits.size()).
void find_maxima(std::span<const float> logits, std::span<float> maxima);
void find_maxima(std::span<const Bf16> logits, std::span<float> maxima);

// Sum of exp((logit - highest) * scale) without what is not a number, to a relative error of 1e-5
// if it is at least 1. Not to the last bit the same with every instruction set.
// REQUIRES: no logit above `highest`, which is finite, but for rounding; scale > 0.
double sum_of_weights(std::span<const float> logits, float highest, float scale);
double sum_of_weights(std::span<const Bf16> logits, float highest, float scale);

}  // namespace runner::logit_scan
