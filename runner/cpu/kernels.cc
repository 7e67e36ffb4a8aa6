#include "runner/cpu/kernels.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

// This file is compiled once per instruction set: foreach_target.h includes it again.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runner/cpu/kernels.cc"
#include <hwy/foreach_target.h>
// Behind foreach_target.h, which decides for what these are compiled.
#include <hwy/cache_control.h>
#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace runner::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Packed rows are laid out alike on every instruction set: for vectors of at most 16 floats.
constexpr std::size_t kMostLanes = 16;
#if HWY_TARGET == HWY_SCALAR
constexpr std::size_t kLanes = 1;
#else
constexpr std::size_t kLanes = HWY_MIN(HWY_LANES(float), kMostLanes);
#endif
using FloatTag = hn::FixedTag<float, kLanes>;
constexpr FloatTag kFloats{};
constexpr hn::RebindToUnsigned<FloatTag> kWords{};        // two bf16 in each lane
constexpr hn::Rebind<std::uint16_t, FloatTag> kHalves{};  // one bf16 for each float lane
using FloatVec = hn::Vec<FloatTag>;
using WordVec = hn::Vec<decltype(kWords)>;

// The unit of work: sums of a few x rows with kTileOutputs weight rows, all in registers. Twelve
// accumulators leave room for the inputs among 16 registers, 24 among 32.
constexpr int kTileOutputs = 4;
constexpr bool kManyRegisters = kLanes == kMostLanes || HWY_ARCH_ARM_A64;
constexpr int kTileRows = kManyRegisters ? 6 : 3;
// Columns that one step of a tile reads.
constexpr std::size_t kStep = 2 * kLanes;
// Weight bytes that stay in the second-level cache while all x rows pass over them.
constexpr std::size_t kBlockBytes = 256 * 1024;
// How far ahead a single row's tile asks for weights, in columns: 4 rows of 1 KiB each are about
// what memory delivers in its own latency. The hardware does not look across the end of a row.
constexpr std::size_t kPrefetchColumns = 512;

// Of a word of two neighbouring bf16, each becomes a float by standing in the upper half.
HWY_INLINE FloatVec even_floats(WordVec words) {
  return hn::BitCast(kFloats, hn::ShiftLeft<16>(words));
}
HWY_INLINE FloatVec odd_floats(WordVec words) {
  return hn::BitCast(kFloats, hn::And(words, hn::Set(kWords, 0xffff0000U)));
}
HWY_INLINE WordVec load_words(const Bf16* values) {
#if HWY_TARGET == HWY_SCALAR  // has one lane, however narrow
  std::uint32_t word = 0;
  std::memcpy(&word, values, sizeof word);
  return hn::Set(kWords, word);
#else
  constexpr hn::Repartition<std::uint16_t, FloatTag> kPairs{};
  return hn::BitCast(kWords, hn::LoadU(kPairs, &values->bits));
#endif
}
HWY_INLINE FloatVec load_halves(const Bf16* values) {
  const WordVec words = hn::PromoteTo(kWords, hn::LoadU(kHalves, &values->bits));
  return even_floats(words);
}

// The last values of a row that do not fill a vector, with zeros behind them.
HWY_INLINE FloatVec load_part(const float* values, std::size_t count) {
  float buffer[kLanes] = {};
  std::memcpy(buffer, values, count * sizeof(float));
  return hn::LoadU(kFloats, buffer);
}
HWY_INLINE void store_part(FloatVec vector, float* values, std::size_t count) {
  float buffer[kLanes];
  hn::StoreU(vector, kFloats, buffer);
  std::memcpy(values, buffer, count * sizeof(float));
}

#if HWY_TARGET != HWY_SCALAR
// Adds the upper half of a vector to the lower until four lanes are left.
template <std::size_t kCount, class D>
HWY_INLINE hn::Vec<hn::FixedTag<float, 4>> fold(D tag, hn::Vec<D> vector) {
  if constexpr (kCount <= 4) {
    return vector;
  } else {
    const hn::Half<D> half;
    return fold<kCount / 2>(half,
                            hn::Add(hn::LowerHalf(half, vector), hn::UpperHalf(half, vector)));
  }
}
#endif

// The lanes of each of four vectors added up, all four by the same tree of additions.
HWY_INLINE void sum_lanes(const FloatVec (&vectors)[4], float* HWY_RESTRICT sums) {
#if HWY_TARGET == HWY_SCALAR
  for (int i = 0; i < 4; ++i) sums[i] = hn::GetLane(vectors[i]);
#else
  // In each block of four lanes: lanes 0+2 and 1+3 of vectors 0 and 2, then of 1 and 3 …
  const FloatVec even = hn::Add(hn::InterleaveLower(kFloats, vectors[0], vectors[2]),
                                hn::InterleaveUpper(kFloats, vectors[0], vectors[2]));
  const FloatVec odd = hn::Add(hn::InterleaveLower(kFloats, vectors[1], vectors[3]),
                               hn::InterleaveUpper(kFloats, vectors[1], vectors[3]));
  // … then the sum of a block, vectors 0 to 3 side by side.
  const FloatVec blocks =
      hn::Add(hn::InterleaveLower(kFloats, even, odd), hn::InterleaveUpper(kFloats, even, odd));
  hn::StoreU(fold<kLanes>(kFloats, blocks), hn::FixedTag<float, 4>(), sums);
#endif
}

HWY_INLINE float sum_lanes(FloatVec vector) {
  const FloatVec vectors[4] = {vector, vector, vector, vector};
  float sums[4];
  sum_lanes(vectors, sums);
  return sums[0];
}

template <int kRows>
struct TileSums {
  FloatVec at[kRows][kTileOutputs];
};

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
      sums.at[r][o] = hn::MulAdd(values[o], input, sums.at[r][o]);
    }
  }
  for (int o = 0; o < kTileOutputs; ++o) values[o] = odd_floats(words[o]);
  for (int r = 0; r < kRows; ++r) {
    const FloatVec input = hn::LoadU(kFloats, x + static_cast<std::size_t>(r) * x_stride + kLanes);
    for (int o = 0; o < kTileOutputs; ++o) {
      sums.at[r][o] = hn::MulAdd(values[o], input, sums.at[r][o]);
    }
  }
}

// Sums over all columns of kRows packed rows with four weight rows.
template <int kRows>
HWY_INLINE void tile(const float* HWY_RESTRICT x, std::size_t x_stride,
                     const Bf16* const (&w)[kTileOutputs], std::size_t columns,
                     float (&out)[kRows][kTileOutputs]) {
  TileSums<kRows> sums;
  for (auto& row : sums.at) {
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
  for (int r = 0; r < kRows; ++r) sum_lanes(sums.at[r], out[r]);
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

void rms_norm_target(std::span<const float> x, std::span<const float> weight, float epsilon,
                     std::span<float> out) {
  const std::size_t count = x.size();
  FloatVec squares = hn::Zero(kFloats);
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const FloatVec value = hn::LoadU(kFloats, &x[i]);
    squares = hn::MulAdd(value, value, squares);
  }
  if (i < count) {
    const FloatVec value = load_part(&x[i], count - i);
    squares = hn::MulAdd(value, value, squares);
  }
  const float mean = sum_lanes(squares) / static_cast<float>(count);
  const float factor = 1.0F / std::sqrt(mean + epsilon);
  for (i = 0; i < count; ++i) out[i] = x[i] * factor * weight[i];
}

HWY_INLINE FloatVec silu_times(FloatVec gate, FloatVec up) {
  // exp(88) is near the largest float; beyond it the result is 0 to float precision.
  const FloatVec negative = hn::Min(hn::Neg(gate), hn::Set(kFloats, 88.0F));
  const FloatVec divisor = hn::Add(hn::Set(kFloats, 1.0F), hn::Exp(kFloats, negative));
  return hn::Mul(hn::Div(gate, divisor), up);
}

void silu_multiply_target(std::span<float> gate, std::span<const float> up) {
  std::size_t i = 0;
  for (; i + kLanes <= gate.size(); i += kLanes) {
    hn::StoreU(silu_times(hn::LoadU(kFloats, &gate[i]), hn::LoadU(kFloats, &up[i])), kFloats,
               &gate[i]);
  }
  if (const std::size_t rest = gate.size() - i; rest > 0) {
    store_part(silu_times(load_part(&gate[i], rest), load_part(&up[i], rest)), &gate[i], rest);
  }
}

void softmax_target(std::span<float> scores, float scale) {
  const std::size_t count = scores.size();
  const float most = *std::max_element(scores.begin(), scores.end());
  const FloatVec most_lanes = hn::Set(kFloats, most);
  const FloatVec scale_lanes = hn::Set(kFloats, scale);
  FloatVec sums = hn::Zero(kFloats);
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const FloatVec distance = hn::Sub(hn::LoadU(kFloats, &scores[i]), most_lanes);
    const FloatVec power = hn::Exp(kFloats, hn::Mul(distance, scale_lanes));
    sums = hn::Add(sums, power);
    hn::StoreU(power, kFloats, &scores[i]);
  }
  if (const std::size_t rest = count - i; rest > 0) {
    const FloatVec distance = hn::Sub(load_part(&scores[i], rest), most_lanes);
    store_part(hn::Exp(kFloats, hn::Min(hn::Zero(kFloats), hn::Mul(distance, scale_lanes))),
               &scores[i], rest);
    sums = hn::Add(sums, load_part(&scores[i], rest));
  }
  const float factor = 1.0F / sum_lanes(sums);
  for (float& score : scores) score *= factor;
}

// kRows x kVectors * kLanes outputs from `column` on.
template <int kRows, int kVectors>
HWY_INLINE void weighted_columns(const WeightedSumCall& call, std::size_t column) {
  const auto columns = static_cast<std::size_t>(call.columns);
  FloatVec sums[kRows][kVectors];
  for (auto& row : sums) {
    for (auto& sum : row) sum = hn::Zero(kFloats);
  }
  const Bf16* values = call.values + column;
  for (std::size_t term = 0; term < static_cast<std::size_t>(call.terms); ++term) {
    FloatVec inputs[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      inputs[v] = load_halves(values + static_cast<std::size_t>(v) * kLanes);
    }
    for (int r = 0; r < kRows; ++r) {
      const FloatVec weight =
          hn::Set(kFloats, call.weights[static_cast<std::size_t>(r) * call.weights_stride + term]);
      for (int v = 0; v < kVectors; ++v) sums[r][v] = hn::MulAdd(weight, inputs[v], sums[r][v]);
    }
    values += columns;
  }
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      hn::StoreU(sums[r][v], kFloats,
                 call.out + static_cast<std::size_t>(r) * columns + column +
                     static_cast<std::size_t>(v) * kLanes);
    }
  }
}

template <int kRows>
void weighted_rows(const WeightedSumCall& call) {
  constexpr int kVectors = kManyRegisters ? 4 : 2;
  const auto columns = static_cast<std::size_t>(call.columns);
  std::size_t column = 0;
  for (; column + kVectors * kLanes <= columns; column += kVectors * kLanes) {
    weighted_columns<kRows, kVectors>(call, column);
  }
  for (; column + kLanes <= columns; column += kLanes) weighted_columns<kRows, 1>(call, column);
  for (; column < columns; ++column) {
    for (std::size_t r = 0; r < kRows; ++r) {
      float sum = 0;
      for (std::size_t term = 0; term < static_cast<std::size_t>(call.terms); ++term) {
        sum += call.weights[r * call.weights_stride + term] *
               to_float(call.values[term * columns + column]);
      }
      call.out[r * columns + column] = sum;
    }
  }
}

void weighted_sum_target(const WeightedSumCall& call) {
  static_assert(kWeightedRows == 4);
  switch (call.rows) {
    case 1:
      return weighted_rows<1>(call);
    case 2:
      return weighted_rows<2>(call);
    case 3:
      return weighted_rows<3>(call);
    default:
      return weighted_rows<4>(call);
  }
}

const char* instruction_set_target() { return hwy::TargetName(HWY_TARGET); }

}  // namespace runner::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace runner::kernels {

HWY_EXPORT(matmul_target);
HWY_EXPORT(pack_row_target);
HWY_EXPORT(rms_norm_target);
HWY_EXPORT(silu_multiply_target);
HWY_EXPORT(softmax_target);
HWY_EXPORT(weighted_sum_target);
HWY_EXPORT(instruction_set_target);

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

void rms_norm(std::span<const float> x, std::span<const float> weight, float epsilon,
              std::span<float> out) {
  HWY_DYNAMIC_DISPATCH(rms_norm_target)(x, weight, epsilon, out);
}

void silu_multiply(std::span<float> gate, std::span<const float> up) {
  HWY_DYNAMIC_DISPATCH(silu_multiply_target)(gate, up);
}

void softmax(std::span<float> scores, float scale) {
  HWY_DYNAMIC_DISPATCH(softmax_target)(scores, scale);
}

void weighted_sum(const WeightedSumCall& call) { HWY_DYNAMIC_DISPATCH(weighted_sum_target)(call); }

const char* instruction_set() { return HWY_DYNAMIC_DISPATCH(instruction_set_target)(); }

}  // namespace runner::kernels
#endif  // HWY_ONCE
