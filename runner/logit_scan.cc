#include "runner/logit_scan.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>

// This file is compiled once per instruction set: foreach_target.h includes it again.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runner/logit_scan.cc"
#include <hwy/foreach_target.h>
// Behind foreach_target.h, which decides for what these are compiled.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace runner::logit_scan::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;
using IntTag = hn::RebindToSigned<FloatTag>;
using ShortTag = hn::ScalableTag<std::int16_t>;
using FloatVec = hn::Vec<FloatTag>;
using IntVec = hn::Vec<IntTag>;
using ShortVec = hn::Vec<ShortTag>;

HWY_INLINE IntVec load_bits(const float* values) {
  return hn::BitCast(IntTag(), hn::LoadU(FloatTag(), values));
}
HWY_INLINE ShortVec load_bits(const Bf16* values) {
  return hn::BitCast(ShortTag(), hn::LoadU(hn::RebindToUnsigned<ShortTag>(), &values->bits));
}

HWY_INLINE FloatVec load_floats(const float* values) { return hn::LoadU(FloatTag(), values); }
HWY_INLINE FloatVec load_floats(const Bf16* values) {
  const hn::RebindToUnsigned<FloatTag> words;
  const hn::Rebind<std::uint16_t, FloatTag> halves;
  const auto bits = hn::PromoteTo(words, hn::LoadU(halves, &values->bits));
  return hn::BitCast(FloatTag(), hn::ShiftLeft<16>(bits));
}

HWY_INLINE float value_of(std::int32_t bits, float) { return std::bit_cast<float>(bits); }
HWY_INLINE float value_of(std::int32_t bits, Bf16) {
  return to_float(Bf16{static_cast<std::uint16_t>(bits)});
}

// Highway 0.16 has reductions of 32-bit lanes only.
HWY_INLINE std::int32_t largest_lane(IntVec bits) {
  return hn::GetLane(hn::MaxOfLanes(IntTag(), bits));
}
HWY_INLINE std::int32_t smallest_lane(IntVec bits) {
  return hn::GetLane(hn::MinOfLanes(IntTag(), bits));
}
#if HWY_TARGET == HWY_SCALAR
HWY_INLINE std::int32_t largest_lane(ShortVec bits) { return hn::GetLane(bits); }
HWY_INLINE std::int32_t smallest_lane(ShortVec bits) { return hn::GetLane(bits); }
#else
HWY_INLINE IntVec odd_lanes(ShortVec bits) {
  return hn::ShiftRight<16>(hn::BitCast(IntTag(), bits));
}
HWY_INLINE IntVec even_lanes(ShortVec bits) {
  return hn::ShiftRight<16>(hn::ShiftLeft<16>(hn::BitCast(IntTag(), bits)));
}
HWY_INLINE std::int32_t largest_lane(ShortVec bits) {
  return largest_lane(hn::Max(odd_lanes(bits), even_lanes(bits)));
}
HWY_INLINE std::int32_t smallest_lane(ShortVec bits) {
  return smallest_lane(hn::Min(odd_lanes(bits), even_lanes(bits)));
}
#endif

template <class Value>
float largest_one_by_one(std::span<const Value> block) {
  float most = -std::numeric_limits<float>::infinity();
  for (const Value value : block) {
    if (as_float(value) > most) most = as_float(value);
  }
  return most;
}

// Bits of floats read as integers: positive ones are in order and above the negative ones, which
// are in reverse order. So the largest number has the largest bits, or, if all are negative, the
// smallest. Positive NaN has larger bits than infinity; negative NaN wins over nothing but its
// like.
template <class Value>
float largest(std::span<const Value> block) {
  using Tag = hn::DFromV<decltype(load_bits(block.data()))>;
  const std::size_t lanes = hn::Lanes(Tag());
  if (block.size() < lanes) return largest_one_by_one(block);
  auto most = load_bits(block.data());
  auto least = most;
  const auto include = [&](std::size_t i) HWY_ATTR {
    const auto bits = load_bits(block.data() + i);
    most = hn::Max(most, bits);
    least = hn::Min(least, bits);
  };
  std::size_t i = lanes;
  for (; i + lanes <= block.size(); i += lanes) include(i);
  if (i < block.size()) include(block.size() - lanes);  // some of them a second time
  const std::int32_t high = largest_lane(most);
  const float value = value_of(high < 0 ? smallest_lane(least) : high, Value());
  return std::isnan(value) ? largest_one_by_one(block) : value;
}

template <class Value>
HWY_INLINE void find_all(std::span<const Value> logits, std::span<float> maxima) {
  for (std::size_t i = 0; i < maxima.size(); ++i) {
    const auto rest = logits.subspan(i * kBlock);
    maxima[i] = rest.size() < kBlock ? largest(rest) : largest(rest.first(kBlock));
  }
}

void find_maxima_float(std::span<const float> logits, std::span<float> maxima) {
  find_all(logits, maxima);
}
void find_maxima_bf16(std::span<const Bf16> logits, std::span<float> maxima) {
  find_all(logits, maxima);
}

// 2^((logit - highest) * scale), 0 for NaN and below 2^-125.
HWY_INLINE FloatVec weights(FloatVec logits, FloatVec highest, FloatVec scale) {
  const FloatTag d;
  const IntTag bits;
  constexpr float kShift = 0x1.8p23F;
  const FloatVec distance = hn::Sub(logits, highest);
  // Its lowest bits are the nearest whole exponent.
  const FloatVec shifted = hn::MulAdd(distance, scale, hn::Set(d, kShift));
  const FloatVec whole = hn::Sub(shifted, hn::Set(d, kShift));
  const FloatVec part = hn::MulSub(distance, scale, whole);
  // 2^part for -1/2 to 1/2 by the polynomial that meets it at 0 and four Chebyshev nodes of a
  // slightly wider range: at most 5.4e-6 off. hn::Exp takes twice the time.
  FloatVec power = hn::Set(d, 0.0096582724F);
  power = hn::MulAdd(power, part, hn::Set(d, 0.055851817F));
  power = hn::MulAdd(power, part, hn::Set(d, 0.2402252F));
  power = hn::MulAdd(power, part, hn::Set(d, 0.69313586F));
  power = hn::MulAdd(power, part, hn::Set(d, 1.0F));
  const IntVec exponent = hn::ShiftLeft<23>(hn::BitCast(bits, shifted));
  power = hn::BitCast(d, hn::Add(hn::BitCast(bits, power), exponent));
  return hn::IfThenElseZero(hn::Ge(shifted, hn::Set(d, kShift - 125)), power);
}

template <class Value>
HWY_INLINE double block_weight(std::span<const Value> block, FloatVec highest, FloatVec scale) {
  const std::size_t lanes = hn::Lanes(FloatTag());
  FloatVec sum = hn::Zero(FloatTag());
  std::size_t i = 0;
  for (; i + lanes <= block.size(); i += lanes) {
    sum = hn::Add(sum, weights(load_floats(block.data() + i), highest, scale));
  }
  if (i < block.size()) {
    float last[hn::MaxLanes(FloatTag())];
    std::fill_n(last, lanes, -std::numeric_limits<float>::infinity());
    std::transform(block.begin() + static_cast<std::ptrdiff_t>(i), block.end(), last,
                   [](Value value) { return as_float(value); });
    sum = hn::Add(sum, weights(load_floats(last), highest, scale));
  }
  return hn::GetLane(hn::SumOfLanes(FloatTag(), sum));
}

// Floats within a block, doubles across: the rounding does not grow with the vocabulary.
template <class Value>
HWY_INLINE double sum_blocks(std::span<const Value> logits, float highest, float scale) {
  const FloatVec all_highest = hn::Set(FloatTag(), highest);
  const FloatVec all_scale = hn::Set(FloatTag(), scale * std::numbers::log2e_v<float>);
  double sum = 0;
  for (; logits.size() > kBlock; logits = logits.subspan(kBlock)) {
    sum += block_weight(logits.first(kBlock), all_highest, all_scale);
  }
  return sum + block_weight(logits, all_highest, all_scale);
}

double sum_float(std::span<const float> logits, float highest, float scale) {
  return sum_blocks(logits, highest, scale);
}
double sum_bf16(std::span<const Bf16> logits, float highest, float scale) {
  return sum_blocks(logits, highest, scale);
}

}  // namespace runner::logit_scan::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace runner::logit_scan {

HWY_EXPORT(find_maxima_float);
HWY_EXPORT(find_maxima_bf16);
HWY_EXPORT(sum_float);
HWY_EXPORT(sum_bf16);

void find_maxima(std::span<const float> logits, std::span<float> maxima) {
  HWY_DYNAMIC_DISPATCH(find_maxima_float)(logits, maxima);
}

void find_maxima(std::span<const Bf16> logits, std::span<float> maxima) {
  HWY_DYNAMIC_DISPATCH(find_maxima_bf16)(logits, maxima);
}

double sum_of_weights(std::span<const float> logits, float highest, float scale) {
  return HWY_DYNAMIC_DISPATCH(sum_float)(logits, highest, scale);
}

double sum_of_weights(std::span<const Bf16> logits, float highest, float scale) {
  return HWY_DYNAMIC_DISPATCH(sum_bf16)(logits, highest, scale);
}

}  // namespace runner::logit_scan
#endif  // HWY_ONCE
