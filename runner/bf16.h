#pragma once

#include <bit>
#include <cstdint>

namespace runner {

// A bfloat16 value: the upper half of an IEEE-754 float32. Storage only; compute in float.
struct Bf16 {
  std::uint16_t bits = 0;
  friend bool operator==(Bf16, Bf16) = default;
};
static_assert(sizeof(Bf16) == 2);

inline float to_float(Bf16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}

// Rounds to nearest, ties to even. NaN stays NaN (quiet); values past the largest bf16 give
// infinity.
inline Bf16 to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffU) > 0x7f800000U) {
    return Bf16{static_cast<std::uint16_t>((bits >> 16) | 0x40U)};
  }
  return Bf16{static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16)};
}

inline bool is_finite(Bf16 value) { return (value.bits & 0x7f80U) != 0x7f80U; }

}  // namespace runner
