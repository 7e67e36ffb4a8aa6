#pragma once

#include <cstddef>

#include "runner/bf16.h"
#include "runner/cpu/anonymous_memory.h"
#include "runner/engine.h"
#include "runner/model_config.h"

namespace runner {

// The CPU engine's K/V rows, bf16 [layers, 2, kv_heads, capacity, head_dim]: the rows of one head
// follow one another, so that attention reads them as a matrix. Memory is reserved for all rows
// and taken as they are written.
class CpuKvCache : public KvCache {
 public:
  // Throws Error(kOutOfMemory).
  CpuKvCache(const ModelConfig& config, int capacity);

  int length() const override { return length_; }
  int capacity() const override { return capacity_; }
  void truncate(int length) override { length_ = length; }

  // Counts rows written behind the last one. REQUIRES: length() + rows <= capacity().
  void extend(int rows) { length_ += rows; }

  // [capacity, head_dim] of one layer and head.
  Bf16* keys(int layer, int kv_head) const { return head(2 * layer, kv_head); }
  Bf16* values(int layer, int kv_head) const { return head(2 * layer + 1, kv_head); }

 private:
  Bf16* head(int plane, int kv_head) const {
    const auto index =
        static_cast<std::size_t>(plane) * kv_heads_ + static_cast<std::size_t>(kv_head);
    return static_cast<Bf16*>(memory_.data()) + index * head_values_;
  }

  int capacity_;
  int length_ = 0;
  std::size_t kv_heads_;
  std::size_t head_values_;  // capacity * head_dim
  AnonymousMemory memory_;
};

}  // namespace runner
