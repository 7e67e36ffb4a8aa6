#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "runner/engine.h"
#include "runner/npu/device.h"

namespace runner {

// The K/V rows of one conversation in NPU memory, for each layer K [slots, width] and
// V [slots, width] in bf16, and the embeddings they are computed from: rows may wait to be
// computed, or be computed anew. Whenever a graph runs, rows behind the ones it writes are zero:
// what a mask hides must still be a number.
class NpuKvCache : public KvCache {
 public:
  struct Layout {
    int layers = 0;
    int hidden = 0;    // values of an embedding
    int kv_width = 0;  // values of a K or V row: heads * head size
    int capacity = 0;  // most rows
    int slots = 0;     // rows of memory: the most that any graph binds
  };

  // Throws Error(kOutOfMemory).
  NpuKvCache(NpuDevice& device, const Layout& layout);

  int length() const override { return length_; }
  int capacity() const override { return layout_.capacity; }
  void truncate(int length) override;

  int computed() const { return computed_; }  // rows, of length()
  int slots() const { return layout_.slots; }
  std::size_t row_bytes() const {
    return static_cast<std::size_t>(layout_.kv_width) * sizeof(Bf16);
  }

  // Rows [first, first + rows) of a layer. REQUIRES: within slots().
  NpuSlice keys(int layer, int first, int rows) const { return plane(layer, 0, first, rows); }
  NpuSlice values(int layer, int first, int rows) const { return plane(layer, 1, first, rows); }

  // Holds rows [rows, hidden] from now on, not computed yet. REQUIRES: they fit.
  void append(EmbeddingView rows);
  EmbeddingView embeddings(int first, int rows) const;

  // Rows from `computed` on are to be computed anew. REQUIRES: computed <= computed().
  void rewind(int computed) { computed_ = computed; }
  // For a run that writes the next `rows` K/V rows: zeroes what was written behind them, for the
  // NPU to see.
  void prepare(int rows);
  // REQUIRES: computed() + rows <= length().
  void count_computed(int rows) { computed_ += rows; }

 private:
  NpuSlice plane(int layer, int which, int first, int rows) const;

  NpuDevice& device_;
  const Layout layout_;
  std::size_t plane_bytes_;
  std::vector<std::unique_ptr<NpuMemory>> memory_;  // one block per layer
  std::vector<Bf16> embeddings_;                    // [capacity, hidden]
  int length_ = 0;
  int computed_ = 0;
  int written_ = 0;  // rows that may not be zero
};

}  // namespace runner
