#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "runner/engine.h"
#include "runner/npu/device.h"
#include "runner/npu/prefill_plan.h"

// What the layers of one step share as input, and the handling of rows in NPU memory.
namespace runner {

// Bytes of bf16 rows.
inline std::size_t to_bytes(int rows, int width) {
  return static_cast<std::size_t>(rows) * static_cast<std::size_t>(width) * sizeof(Bf16);
}

// Memory of zeros, for both sides: lines of it that the processor still held would else be
// written over what the NPU computed.
std::unique_ptr<NpuMemory> allocate_zeroed(NpuDevice& device, std::size_t bytes, const char* tag);

// Writes `rows` to the beginning of `memory` and zeros up to `all_rows`.
void write_rows(NpuDevice& device, const NpuSlice& memory, EmbeddingView rows, int all_rows);

// Zeroes rows [first, all_rows) of `width` values behind rows that the NPU wrote.
void zero_rows(NpuDevice& device, const NpuSlice& memory, int width, int first, int all_rows);

// Positions and masks, one of each for all layers of a step.
class StepInputs {
 public:
  StepInputs(NpuDevice& device, std::span<const ShapeGroup> groups);

  // `indices` for `rows` rows from `first` on: uint32, all of them counted up.
  NpuSlice positions(int first, int rows);

  // `mask` of a group for `count` rows behind `length`, [rows, history + rows] bf16: each row sees
  // the history and the rows up to itself; rows from `count` on see nothing. The mask of a decode
  // group is kept between steps and changed where it must be.
  NpuSlice mask(std::size_t group, int length, int count);

 private:
  NpuSlice prefill_mask(const ShapeGroup& group, int length, int count);
  NpuSlice decode_mask(std::size_t group, int length);

  NpuDevice& device_;
  const std::vector<ShapeGroup> groups_;
  std::unique_ptr<NpuMemory> positions_;
  std::unique_ptr<NpuMemory> prefill_mask_;               // of all prefill groups
  std::vector<std::unique_ptr<NpuMemory>> decode_masks_;  // by group; null for prefill groups
  std::vector<int> visible_;                              // columns of history shown, by group
};

}  // namespace runner
