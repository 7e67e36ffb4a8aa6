#include <algorithm>
#include <cstddef>
#include <cstring>

#include "runner/cpu/kernels.h"

// This file is compiled once per instruction set: foreach_target.h includes it again.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runner/cpu/kernels_matmul.cc"
#include <hwy/foreach_target.h>
// Behind foreach_target.h, which decides for what these are compiled.
#include <hwy/cache_control.h>

#include "runner/cpu/vectors_inl.h"

HWY_BEFORE_NAMESPACE();
namespace runner::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// The unit of work: sums of a few x rows with kTileOutputs weight rows, all in registers. Twelve
// accumulators leave room for the inputs among 16 registers, 24 among 32.
constexpr int kTileOutputs = 4;
constexpr int kTileRows = kManyRegisters ? 6 : 3;
// Columns that one step of a tile reads.
constexpr std::size_t kStep = 2 * kLanes;
// Weight bytes that stay in the second-level cache while all x rows pass over them.
constexpr std::size_t kBlockBytes = 256 * 1024;
// How far ahead a single row's tile asks for weights, in columns: 4 rows of 1 KiB each are about
// what memory delivers in its own latency. The hardware does not look across the end of a row.
constexpr std::size_t kPrefetchColumns = 512;

// Not a struct: its constructor would be no function of the instruction set.
template <int kRows>
using TileSums = FloatVec[kRows][kTileOutputs];

// Takes kStep columns into the sums; `x` and `w` point at the first of them.
template <int kRows>
HWY_INLINE void tile_step(const float* HWY_RESTRICT x, std::size_t x_stride,
                          const Bf16* const (&w)[kTileOutputs], TileSums<kRows>& sums) {
  WordVec words[kTileOutputs];
  FloatVec values[kTileOutputs];
  for (int o = 0; o < kTileOutputs; ++o) words[o] = load_words(w[o]);
  for (int o = 0; o < kTileOutputs; ++o) values[o] = even_floats(words[o]);
  for (int r = 0; r < kRows; ++r) {
    const FloatVec input = hn::LoadU(kFloats, x + static_cast<std::size_t>(r) * x_stride);
    for (int o = 0; o < kTileOutputs; ++o) {
      sums[r][o] = hn::MulAdd(values[o], input, sums[r][o]);
    }
  }
  for (int o = 0; o < kTileOutputs; ++o) values[o] = odd_floats(words[o]);
  for (int r = 0; r < kRows; ++r) {
    const FloatVec input = hn::LoadU(kFloats, x + static_cast<std::size_t>(r) * x_stride + kLanes);
    for (int o = 0; o < kTileOutputs; ++o) {
      sums[r][o] = hn::MulAdd(values[o], input, sums[r][o]);
    }
  }
}

// Sums over all columns of kRows packed rows with four weight rows.
template <int kRows>
HWY_INLINE void tile(const float* HWY_RESTRICT x, std::size_t x_stride,
                     const Bf16* const (&w)[kTileOutputs], std::size_t columns,
                     float (&out)[kRows][kTileOutputs]) {
  TileSums<kRows> sums;
  for (auto& row : sums) {
    for (auto& sum : row) sum = hn::Zero(kFloats);
  }
  std::size_t column = 0;
  // Takes whole steps up to `end`, asking for the weights `ahead` columns on.
  const auto take_until = [&](std::size_t end, [[maybe_unused]] std::size_t ahead) HWY_ATTR {
    for (; column + kStep <= end; column += kStep) {
      const Bf16* const at[kTileOutputs] = {w[0] + column, w[1] + column, w[2] + column,
                                            w[3] + column};
      if constexpr (kRows == 1) {
        for (const Bf16* weights : at) hwy::Prefetch(weights + ahead);
      }
      tile_step<kRows>(x + column, x_stride, at, sums);
    }
  };
  const std::size_t ahead = std::min(kPrefetchColumns, columns);
  take_until(columns - ahead, ahead);
  // From here on what is ahead lies in the next tile's rows.
  take_until(columns, ahead + (kTileOutputs - 1) * columns);
  if (column < columns) {
    // The last columns, with zeros behind them, as there are in x.
    Bf16 rest[kTileOutputs][kStep] = {};
    for (int o = 0; o < kTileOutputs; ++o) {
      std::memcpy(rest[o], w[o] + column, (columns - column) * sizeof(Bf16));
    }
    const Bf16* const at[kTileOutputs] = {rest[0], rest[1], rest[2], rest[3]};
    tile_step<kRows>(x + column, x_stride, at, sums);
  }
  for (int r = 0; r < kRows; ++r) sum_lanes(sums[r], out[r]);
}

// kRows rows from `row` on, outputs [first, last).
template <int kRows>
void matmul_rows(const MatmulCall& call, int row, int first, int last) {
  const auto columns = static_cast<std::size_t>(call.columns);
  const std::size_t x_stride = packed_width(call.columns);
  const float* x = call.x + static_cast<std::size_t>(row) * x_stride;
  float* y = call.y + static_cast<std::size_t>(row) * call.y_stride;
  for (int output = first; output < last; output += kTileOutputs) {
    const int count = std::min(kTileOutputs, last - output);
    const Bf16* w[kTileOutputs];
    for (int o = 0; o < kTileOutputs; ++o) {
      // Past the end the last row again: its sums are not used.
      w[o] = call.w + static_cast<std::size_t>(output + std::min(o, count - 1)) * columns;
    }
    float sums[kRows][kTileOutputs];
    tile<kRows>(x, x_stride, w, columns, sums);
    for (int r = 0; r < kRows; ++r) {
      for (int o = 0; o < count; ++o) {
        const float bias = call.bias == nullptr ? 0.0F : call.bias[output + o];
        float& target =
            y[static_cast<std::size_t>(r) * call.y_stride + static_cast<std::size_t>(output + o)];
        target = call.add ? target + (sums[r][o] + bias) : sums[r][o] + bias;
      }
    }
  }
}

template <int kRows>
void matmul_block(const MatmulCall& call, int row, int rows, int first, int last) {
  if (rows == kRows) {
    matmul_rows<kRows>(call, row, first, last);
  } else if constexpr (kRows > 1) {
    matmul_block<kRows - 1>(call, row, rows, first, last);
  }
}

void matmul_target(const MatmulCall& call) {
  const std::size_t fitting = kBlockBytes / (static_cast<std::size_t>(call.columns) * sizeof(Bf16));
  const int outputs = std::max(1, static_cast<int>(fitting) / kTileOutputs) * kTileOutputs;
  for (int first = call.first; first < call.last; first += outputs) {
    const int last = std::min(call.last, first + outputs);
    for (int row = 0; row < call.rows; row += kTileRows) {
      matmul_block<kTileRows>(call, row, std::min(kTileRows, call.rows - row), first, last);
    }
  }
}

void pack_row_target(const float* HWY_RESTRICT row, std::size_t count, float* HWY_RESTRICT packed) {
  const std::size_t width = packed_width(static_cast<int>(count));
  // Of each step's columns first the even ones, then the odd ones: the order of a word's halves.
  std::size_t column = 0;
  for (; column + kStep <= count; column += kStep) {
    for (std::size_t i = 0; i < kLanes; ++i) {
      packed[column + i] = row[column + 2 * i];
      packed[column + kLanes + i] = row[column + 2 * i + 1];
    }
  }
  std::fill(packed + column, packed + width, 0.0F);
  for (std::size_t i = 0; column + i < count; ++i) {
    packed[column + i / 2 + (i % 2) * kLanes] = row[column + i];
  }
}

}  // namespace runner::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace runner::kernels {

HWY_EXPORT(matmul_target);
HWY_EXPORT(pack_row_target);

std::size_t packed_width(int columns) {
  constexpr std::size_t kUnit = 32;  // columns of one step with the longest vectors
  const std::size_t width = (static_cast<std::size_t>(columns) + kUnit - 1) / kUnit * kUnit;
  // Rows a multiple of 2 KiB apart would compete for the same few lines of the first-level cache.
  return width % 512 == 0 ? width + kUnit : width;
}

void matmul(const MatmulCall& call) { HWY_DYNAMIC_DISPATCH(matmul_target)(call); }

void pack_row(std::span<const float> row, float* packed) {
  HWY_DYNAMIC_DISPATCH(pack_row_target)(row.data(), row.size(), packed);
}

}  // namespace runner::kernels
#endif  // HWY_ONCE
