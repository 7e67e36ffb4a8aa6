// Vector helpers that the kernels share. Included by files that are compiled once per instruction
// set, hence the guard that lets it in once for each (see Highway's foreach_target.h).
#if defined(RUNNER_CPU_VECTORS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef RUNNER_CPU_VECTORS_INL_H_
#undef RUNNER_CPU_VECTORS_INL_H_
#else
#define RUNNER_CPU_VECTORS_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "runner/bf16.h"

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

// 32 vector registers; elsewhere 16.
constexpr bool kManyRegisters = kLanes == kMostLanes || HWY_ARCH_ARM_A64;

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
HWY_INLINE hn::Vec<hn::FixedTag<float, 4>> fold(D, hn::Vec<D> vector) {
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

}  // namespace runner::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // the guard above
