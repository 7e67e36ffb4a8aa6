#include "runner/cpu/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace runner {
namespace {

// What becomes of a pair's frequency, in radians per position.
double scaled_frequency(double frequency, const RopeScaling& scaling) {
  const double turns = frequency * scaling.original_positions / (2 * std::numbers::pi);
  const double kept = std::clamp(
      (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor), 0.0,
      1.0);
  return kept * frequency + (1 - kept) * frequency / scaling.factor;
}

}  // namespace

RopeTable::RopeTable(const ModelConfig& config, int positions)
    : positions_(positions), half_(static_cast<std::size_t>(config.head_dim) / 2) {
  const std::size_t entries = static_cast<std::size_t>(positions) * half_;
  cosines_.reserve(entries);
  sines_.reserve(entries);
  std::vector<double> frequencies(half_);
  for (std::size_t i = 0; i < half_; ++i) {
    frequencies[i] = std::pow(config.rope_theta, -2.0 * static_cast<double>(i) / config.head_dim);
    if (config.rope_scaling) {
      frequencies[i] = scaled_frequency(frequencies[i], *config.rope_scaling);
    }
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
