#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "runner/model_config.h"

namespace runner {

// Rotary position embedding as HuggingFace's Qwen and Llama do it: the pair (i, i + head_dim/2)
// of a head turns by position * theta^(-2i/head_dim), or less with RopeScaling.
class RopeTable {
 public:
  RopeTable() = default;
  // Computed in double: float32 angles lose digits at large positions.
  RopeTable(const ModelConfig& config, int positions);

  int positions() const { return positions_; }

  // Turns one head in place. REQUIRES: head.size() == head_dim, 0 <= position < positions().
  void rotate(std::span<float> head, int position) const;

 private:
  int positions_ = 0;
  std::size_t half_ = 0;
  std::vector<float> cosines_;  // [positions, head_dim/2]
  std::vector<float> sines_;
};

}  // namespace runner
