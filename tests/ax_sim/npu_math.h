#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

// The arithmetic of the simulated NPU: float32 inside, every sum in an order that depends on the
// shapes of weights and heads alone, never on how many rows are computed at once. Without fused
// operations and without libm, so that all machines give the same bits.
namespace ax_sim {

inline float widen(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

// To nearest, ties to even.
inline std::uint16_t narrow(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFFFFFFU) > 0x7F800000U) return static_cast<std::uint16_t>(bits >> 16 | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7FFFU + (bits >> 16 & 1U)) >> 16);
}

inline bool finite(std::uint16_t bits) { return (bits & 0x7F80U) != 0x7F80U; }

// e^x; exactly 0 below -87, never infinite.
float exponential(float x);

// bf16 weights, [panel of 32 outputs][input][32], so that a panel streams through the cache once.
class PackedMatrix {
 public:
  // `source`: bf16 [outputs][inputs], at any alignment; its end is returned.
  const std::byte* load(const std::byte* source, std::size_t outputs, std::size_t inputs);
  ~PackedMatrix();
  PackedMatrix() = default;
  PackedMatrix(const PackedMatrix&) = delete;
  PackedMatrix& operator=(const PackedMatrix&) = delete;

  // y[rows][outputs] = x[rows][inputs] W^T.
  void multiply(const float* x, std::size_t rows, float* y) const;

 private:
  std::size_t outputs_ = 0;
  std::size_t inputs_ = 0;
  std::uint16_t* values_ = nullptr;
};

// y = x / rms(x) * weight.
void rms_norm(const float* x, const std::vector<float>& weight, float epsilon, float* y);
// gate = silu(gate) * up.
void silu_multiply(float* gate, const float* up, std::size_t count);
// Turns the pairs (i, i + width/2) by the angles whose cosines and sines are given.
void rotate(float* head, std::size_t width, const float* cosines, const float* sines);
float dot(const float* a, const float* b, std::size_t count);

// One column that a query sees, [head_dim] each.
struct KvColumn {
  const float* key;
  const float* value;
};
// out = softmax(query . keys * scale) . values, column by column in the given order.
void attend(const float* query, const std::vector<KvColumn>& columns, std::size_t width,
            std::vector<float>& scores, float* out);

}  // namespace ax_sim
