#include "runner/npu/step_inputs.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>

namespace runner {
namespace {

constexpr Bf16 kMaskShown{0x0000};   // 0
constexpr Bf16 kMaskHidden{0xC780};  // -65536

std::size_t mask_bytes(const ShapeGroup& group) {
  return to_bytes(group.rows, group.history + group.rows);
}

}  // namespace

std::unique_ptr<NpuMemory> allocate_zeroed(NpuDevice& device, std::size_t bytes, const char* tag) {
  auto memory = device.allocate(bytes, tag);
  std::memset(memory->slice().host, 0, memory->slice().bytes);
  device.to_npu(memory->slice());
  return memory;
}

void write_rows(NpuDevice& device, const NpuSlice& memory, EmbeddingView rows, int all_rows) {
  const std::size_t bytes = rows.values().size_bytes();
  const std::size_t all_bytes = to_bytes(all_rows, rows.hidden());
  std::memcpy(memory.host, rows.values().data(), bytes);
  std::memset(memory.host + bytes, 0, all_bytes - bytes);
  device.to_npu(memory.lines(0, all_bytes));
}

void zero_rows(NpuDevice& device, const NpuSlice& memory, int width, int first, int all_rows) {
  if (first >= all_rows) return;
  const std::size_t offset = to_bytes(first, width);
  const std::size_t bytes = to_bytes(all_rows - first, width);
  const NpuSlice lines = memory.lines(offset, bytes);
  // The row before may share the first line, and the processor's copy of it is old.
  if (offset % kCacheLine != 0) device.from_npu(lines.part(0, kCacheLine));
  std::memset(memory.host + offset, 0, bytes);
  device.to_npu(lines);
}

StepInputs::StepInputs(NpuDevice& device, std::span<const ShapeGroup> groups)
    : device_(device), groups_(groups.begin(), groups.end()), visible_(groups.size(), 0) {
  int most_rows = 1;
  std::size_t most_mask = 0;
  for (const ShapeGroup& group : groups_) {
    most_rows = std::max(most_rows, group.rows);
    auto& mask = decode_masks_.emplace_back();
    if (group.rows > 1) {
      most_mask = std::max(most_mask, mask_bytes(group));
      continue;
    }
    mask = device_.allocate(mask_bytes(group), "llm_mask");
    auto* columns = mask->slice().as<Bf16>();
    std::fill_n(columns, group.history, kMaskHidden);
    columns[group.history] = kMaskShown;  // the row itself
    device_.to_npu(mask->slice());
  }
  positions_ = allocate_zeroed(device_, static_cast<std::size_t>(most_rows) * sizeof(std::uint32_t),
                               "llm_indices");
  if (most_mask > 0) prefill_mask_ = allocate_zeroed(device_, most_mask, "llm_mask");
}

NpuSlice StepInputs::positions(int first, int rows) {
  const NpuSlice slice =
      positions_->slice().part(0, static_cast<std::size_t>(rows) * sizeof(std::uint32_t));
  auto* values = slice.as<std::uint32_t>();
  std::iota(values, values + rows, static_cast<std::uint32_t>(first));
  device_.to_npu(positions_->slice().lines(0, slice.bytes));
  return slice;
}

NpuSlice StepInputs::mask(std::size_t group, int length, int count) {
  return groups_[group].rows == 1 ? decode_mask(group, length)
                                  : prefill_mask(groups_[group], length, count);
}

NpuSlice StepInputs::prefill_mask(const ShapeGroup& group, int length, int count) {
  const int columns = group.history + group.rows;
  const NpuSlice slice = prefill_mask_->slice().part(0, mask_bytes(group));
  auto* row = slice.as<Bf16>();
  std::fill_n(row, static_cast<std::size_t>(group.rows) * static_cast<std::size_t>(columns),
              kMaskHidden);
  for (int i = 0; i < count; ++i, row += columns) {
    std::fill_n(row, length, kMaskShown);
    std::fill_n(row + group.history, i + 1, kMaskShown);
  }
  device_.to_npu(prefill_mask_->slice().lines(0, slice.bytes));
  return slice;
}

NpuSlice StepInputs::decode_mask(std::size_t group, int length) {
  const NpuSlice slice = decode_masks_[group]->slice().part(0, mask_bytes(groups_[group]));
  int& visible = visible_[group];
  if (length != visible) {
    const int first = std::min(length, visible);
    const int last = std::max(length, visible);
    std::fill(slice.as<Bf16>() + first, slice.as<Bf16>() + last,
              length > visible ? kMaskShown : kMaskHidden);
    device_.to_npu(
        decode_masks_[group]->slice().lines(to_bytes(first, 1), to_bytes(last - first, 1)));
    visible = length;
  }
  return slice;
}

}  // namespace runner
