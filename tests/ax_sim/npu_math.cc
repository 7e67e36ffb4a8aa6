#include "tests/ax_sim/npu_math.h"

#include <algorithm>
#include <cstring>

#include "tests/ax_sim/ax_abi.h"

namespace ax_sim {
namespace {

constexpr std::size_t kPanel = 32;

using Floats = float __attribute__((vector_size(16)));
using Words = std::uint32_t __attribute__((vector_size(16)));
using Halves = std::uint16_t __attribute__((vector_size(8)));
constexpr std::size_t kLanes = 4;

Floats load(const float* from) {
  Floats values;
  std::memcpy(&values, from, sizeof values);
  return values;
}

Floats load_bf16(const std::uint16_t* from) {
  Halves halves;
  std::memcpy(&halves, from, sizeof halves);
  return std::bit_cast<Floats>(__builtin_convertvector(halves, Words) << 16);
}

// `Rows` rows times `Vectors` vectors of a panel's outputs: as many sums as registers hold.
template <std::size_t Rows, std::size_t Vectors>
void multiply_tile(const float* x, std::size_t inputs, const std::uint16_t* panel, float* y) {
  Floats sums[Rows][Vectors] = {};
  for (std::size_t k = 0; k < inputs; ++k) {
    Floats weights[Vectors];
    for (std::size_t v = 0; v < Vectors; ++v)
      weights[v] = load_bf16(panel + k * kPanel + v * kLanes);
    for (std::size_t r = 0; r < Rows; ++r) {
      const float factor = x[r * inputs + k];
      const Floats factors = {factor, factor, factor, factor};
      for (std::size_t v = 0; v < Vectors; ++v) sums[r][v] += factors * weights[v];
    }
  }
  for (std::size_t r = 0; r < Rows; ++r) {
    std::memcpy(y + r * kPanel, sums[r], Vectors * sizeof(Floats));
  }
}

}  // namespace

float exponential(float x) {
  constexpr float kLog2E = 1.44269504F;
  constexpr float kLn2High = 0.693359375F;  // few bits: its products with small integers are exact
  constexpr float kLn2Low = -2.12194440e-4F;
  // No branches, so that loops over it become vector code.
  const bool vanishes = x < -87.0F;
  x = vanishes ? -87.0F : x;
  x = x > 88.0F ? 88.0F : x;
  const auto power = static_cast<int>(x * kLog2E + (x < 0 ? -0.5F : 0.5F));
  const auto n = static_cast<float>(power);
  const float r = x - n * kLn2High - n * kLn2Low;
  float sum = 1.0F / 5040;
  for (const float coefficient : {1.0F / 720, 1.0F / 120, 1.0F / 24, 1.0F / 6, 0.5F, 1.0F, 1.0F}) {
    sum = sum * r + coefficient;
  }
  const auto scaled = sum * std::bit_cast<float>(static_cast<std::uint32_t>(power + 127) << 23);
  return vanishes ? 0.0F : scaled;
}

const std::byte* PackedMatrix::load(const std::byte* source, std::size_t outputs,
                                    std::size_t inputs) {
  outputs_ = outputs;
  inputs_ = inputs;
  const std::size_t panels = (outputs + kPanel - 1) / kPanel;
  const std::size_t bytes = panels * kPanel * inputs * sizeof(std::uint16_t);
  values_ = static_cast<std::uint16_t*>(AX_OS_MEM_Malloc(bytes));
  std::memset(values_, 0, bytes);
  std::vector<std::uint16_t> row(inputs);
  for (std::size_t o = 0; o < outputs; ++o) {
    std::memcpy(row.data(), source, inputs * sizeof(std::uint16_t));
    source += inputs * sizeof(std::uint16_t);
    std::uint16_t* column = values_ + o / kPanel * kPanel * inputs + o % kPanel;
    for (std::size_t k = 0; k < inputs; ++k) column[k * kPanel] = row[k];
  }
  return source;
}

PackedMatrix::~PackedMatrix() {
  if (values_ != nullptr) AX_OS_MEM_Free(values_);
}

void PackedMatrix::multiply(const float* x, std::size_t rows, float* y) const {
  float tile[4 * kPanel];
  for (std::size_t first = 0; first < outputs_; first += kPanel) {
    const std::uint16_t* panel = values_ + first * inputs_;
    const std::size_t columns = std::min(kPanel, outputs_ - first);
    for (std::size_t row = 0; row < rows;) {
      const std::size_t count = rows - row >= 4 ? 4 : 1;
      const float* from = x + row * inputs_;
      if (count == 1) {
        multiply_tile<1, kPanel / kLanes>(from, inputs_, panel, tile);
      } else {
        for (std::size_t part = 0; part < kPanel; part += 2 * kLanes) {
          multiply_tile<4, 2>(from, inputs_, panel + part, tile + part);
        }
      }
      for (std::size_t r = 0; r < count; ++r) {
        std::memcpy(y + (row + r) * outputs_ + first, tile + r * kPanel, columns * sizeof(float));
      }
      row += count;
    }
  }
}

float dot(const float* a, const float* b, std::size_t count) {
  Floats sums[2] = {};
  std::size_t i = 0;
  for (; i + 2 * kLanes <= count; i += 2 * kLanes) {
    sums[0] += ax_sim::load(a + i) * ax_sim::load(b + i);
    sums[1] += ax_sim::load(a + i + kLanes) * ax_sim::load(b + i + kLanes);
  }
  const Floats both = sums[0] + sums[1];
  float sum = both[0] + both[1] + both[2] + both[3];
  for (; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

void rms_norm(const float* x, const std::vector<float>& weight, float epsilon, float* y) {
  const std::size_t width = weight.size();
  const float mean = dot(x, x, width) / static_cast<float>(width);
  const float factor = 1.0F / __builtin_sqrtf(mean + epsilon);
  for (std::size_t i = 0; i < width; ++i) y[i] = x[i] * factor * weight[i];
}

void silu_multiply(float* gate, const float* up, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    gate[i] = gate[i] / (1.0F + exponential(-gate[i])) * up[i];
  }
}

void rotate(float* head, std::size_t width, const float* cosines, const float* sines) {
  const std::size_t half = width / 2;
  for (std::size_t i = 0; i < half; ++i) {
    const float low = head[i];
    const float high = head[i + half];
    head[i] = low * cosines[i] - high * sines[i];
    head[i + half] = high * cosines[i] + low * sines[i];
  }
}

void attend(const float* query, const std::vector<KvColumn>& columns, std::size_t width,
            std::vector<float>& scores, float* out) {
  const float scale = 1.0F / __builtin_sqrtf(static_cast<float>(width));
  scores.resize(columns.size());
  float highest = -3.0e38F;
  for (std::size_t c = 0; c < columns.size(); ++c) {
    scores[c] = dot(query, columns[c].key, width) * scale;
    highest = std::max(highest, scores[c]);
  }
  std::fill(out, out + width, 0.0F);
  for (float& score : scores) score = exponential(score - highest);
  float total = 0;
  for (std::size_t c = 0; c < columns.size(); ++c) {
    const float share = scores[c];
    total += share;
    const float* value = columns[c].value;
    for (std::size_t i = 0; i < width; ++i) out[i] += share * value[i];
  }
  for (std::size_t i = 0; i < width; ++i) out[i] /= total;
}

}  // namespace ax_sim
