#include "runner/cpu/kernels.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

// This file is compiled once per instruction set: foreach_target.h includes it again.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runner/cpu/kernels.cc"
#include <hwy/foreach_target.h>
// Behind foreach_target.h, which decides for what these are compiled.
#include <hwy/contrib/math/math-inl.h>

#include "runner/cpu/vectors_inl.h"

HWY_BEFORE_NAMESPACE();
namespace runner::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

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

HWY_EXPORT(rms_norm_target);
HWY_EXPORT(silu_multiply_target);
HWY_EXPORT(softmax_target);
HWY_EXPORT(weighted_sum_target);
HWY_EXPORT(instruction_set_target);

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
