#include "runner/npu/npu_kv_cache.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace runner {

NpuKvCache::NpuKvCache(NpuDevice& device, const Layout& layout)
    : device_(device),
      layout_(layout),
      plane_bytes_(
          round_up(static_cast<std::size_t>(layout.slots) * row_bytes(), kTensorAlignment)),
      embeddings_(static_cast<std::size_t>(layout.capacity) *
                  static_cast<std::size_t>(layout.hidden)) {
  for (int layer = 0; layer < layout_.layers; ++layer) {
    memory_.push_back(device_.allocate(2 * plane_bytes_, "llm_kv"));
    const NpuSlice& block = memory_.back()->slice();
    std::memset(block.host, 0, block.bytes);
    device_.to_npu(block);
  }
}

NpuSlice NpuKvCache::plane(int layer, int which, int first, int rows) const {
  assert(first >= 0 && rows >= 0 && first + rows <= layout_.slots);
  const NpuSlice& block = memory_[static_cast<std::size_t>(layer)]->slice();
  return block.part(static_cast<std::size_t>(which) * plane_bytes_ +
                        static_cast<std::size_t>(first) * row_bytes(),
                    static_cast<std::size_t>(rows) * row_bytes());
}

void NpuKvCache::truncate(int length) {
  length_ = length;
  computed_ = std::min(computed_, length);
}

void NpuKvCache::append(EmbeddingView rows) {
  assert(length_ + rows.rows() <= layout_.capacity);
  const auto values = rows.values();
  std::copy(values.begin(), values.end(),
            embeddings_.begin() + static_cast<std::ptrdiff_t>(length_) * layout_.hidden);
  length_ += rows.rows();
}

EmbeddingView NpuKvCache::embeddings(int first, int rows) const {
  return EmbeddingView(embeddings_, layout_.hidden).slice(first, rows);
}

void NpuKvCache::prepare(int rows) {
  const int end = computed_ + rows;
  const int past = written_ - end;
  written_ = end;
  if (past <= 0) return;
  for (int layer = 0; layer < layout_.layers; ++layer) {
    const NpuSlice& block = memory_[static_cast<std::size_t>(layer)]->slice();
    for (const NpuSlice& old : {keys(layer, end, past), values(layer, end, past)}) {
      std::memset(old.host, 0, old.bytes);
      device_.to_npu(block.lines(static_cast<std::size_t>(old.host - block.host), old.bytes));
    }
  }
}

}  // namespace runner
