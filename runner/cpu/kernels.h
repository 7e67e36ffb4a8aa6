#pragma once

#include <cstddef>
#include <span>

#include "runner/bf16.h"

// The arithmetic of the CPU engine, compiled for every instruction set worth having; the best one
// for this machine is chosen at run time.
//
// Exactness: every output value is computed by the same operations in the same order whatever
// else is in the call: how many rows, which range of outputs, which neighbours. That is what
// makes prefill in one call, in pieces and row by row give the same bits.
namespace runner::kernels {

// Floats that pack_row() needs for `columns` values; also the distance of packed rows.
std::size_t packed_width(int columns);

// Brings a row into the order in which matmul reads it, padded with zeros.
// REQUIRES: `packed` has room for packed_width(row.size()) floats.
void pack_row(std::span<const float> row, float* packed);

// y = x W^T: for every row r and every output o in [first, last)
//   y[r * y_stride + o] = bias[o] + sum over c of x[r][c] * W[o][c]
// and with `add` that is added to what y holds.
struct MatmulCall {
  const float* x = nullptr;  // packed rows, packed_width(columns) apart
  int rows = 0;              // of x and y
  const Bf16* w = nullptr;   // [outputs, columns] row-major
  int columns = 0;
  int first = 0;  // range of outputs; empty is allowed
  int last = 0;
  const float* bias = nullptr;  // [outputs], or none
  float* y = nullptr;
  std::size_t y_stride = 0;
  bool add = false;
};
void matmul(const MatmulCall& call);

// out = x / sqrt(mean(x^2) + epsilon) * weight; out may be x. REQUIRES: all of the same length.
void rms_norm(std::span<const float> x, std::span<const float> weight, float epsilon,
              std::span<float> out);

// gate = gate / (1 + exp(-gate)) * up. REQUIRES: both of the same length.
void silu_multiply(std::span<float> gate, std::span<const float> up);

// scores = exp(scale * (scores - max)) / sum of these. REQUIRES: not empty, scale > 0.
void softmax(std::span<float> scores, float scale);

// out[r][c] = sum over t of weights[r * weights_stride + t] * values[t][c], for 1 to
// kWeightedRows rows r. values is bf16 [terms, columns].
inline constexpr int kWeightedRows = 4;
struct WeightedSumCall {
  const float* weights = nullptr;
  std::size_t weights_stride = 0;
  int rows = 0;
  const Bf16* values = nullptr;
  int terms = 0;
  int columns = 0;
  float* out = nullptr;  // rows `columns` apart
};
void weighted_sum(const WeightedSumCall& call);

// The name of the instruction set in use ("AVX3", "NEON", …).
const char* instruction_set();

}  // namespace runner::kernels
