#include "runner/cpu/rope.h"

#include <cmath>

namespace runner {

RopeTable::RopeTable(int positions, int head_dim, double theta)
    : positions_(positions), half_(static_cast<std::size_t>(head_dim) / 2) {
  const std::size_t entries = static_cast<std::size_t>(positions) * half_;
  cosines_.reserve(entries);
  sines_.reserve(entries);
  std::vector<double> frequencies(half_);
  for (std::size_t i = 0; i < half_; ++i) {
    frequencies[i] = std::pow(theta, -2.0 * static_cast<double>(i) / head_dim);
  }
  for (int position = 0; position < positions; ++position) {
    for (const double frequency : frequencies) {
      cosines_.push_back(static_cast<float>(std::cos(position * frequency)));
      sines_.push_back(static_cast<float>(std::sin(position * frequency)));
    }
  }
}

void RopeTable::rotate(std::span<float> head, int position) const {
  const std::size_t row = static_cast<std::size_t>(position) * half_;
  for (std::size_t i = 0; i < half_; ++i) {
    const float low = head[i];
    const float high = head[i + half_];
    head[i] = low * cosines_[row + i] - high * sines_[row + i];
    head[i + half_] = high * cosines_[row + i] + low * sines_[row + i];
  }
}

}  // namespace runner
