#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runner/mapped_file.h"

// What LayeredEngine needs of an NPU, whoever made it: memory that processor and NPU share, and
// compiled graphs that run in it. Implemented over vendor libraries (ax_device.h) and by doubles
// in the tests. Failures are thrown: Error(kEngineFailed) naming the vendor's function and code,
// Error(kOutOfMemory).
namespace runner {

// What caches are maintained in, and what graphs want their tensors aligned to. Bytes.
inline constexpr std::size_t kCacheLine = 64;
inline constexpr std::size_t kTensorAlignment = 128;

inline std::size_t round_up(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

// A range of NPU memory as both sides see it. Does not own it.
struct NpuSlice {
  std::uint64_t address = 0;  // for the NPU
  std::byte* host = nullptr;  // for the processor
  std::size_t bytes = 0;

  NpuSlice part(std::size_t offset, std::size_t count) const {
    return {address + offset, host + offset, count};
  }
  // part(), widened to whole cache lines. REQUIRES: the slice begins at one.
  NpuSlice lines(std::size_t offset, std::size_t count) const {
    const std::size_t first = offset / kCacheLine * kCacheLine;
    return part(first, round_up(offset + count, kCacheLine) - first);
  }
  template <typename Value>
  Value* as() const {
    return reinterpret_cast<Value*>(host);
  }
};

// A block of NPU memory; freed with this object.
class NpuMemory {
 public:
  virtual ~NpuMemory() = default;
  NpuMemory(const NpuMemory&) = delete;
  NpuMemory& operator=(const NpuMemory&) = delete;
  // At least the bytes asked for, aligned to kTensorAlignment, up to a whole cache line.
  const NpuSlice& slice() const { return slice_; }

 protected:
  NpuMemory() = default;
  NpuSlice slice_;
};

struct NpuTensor {
  std::string name;
  std::size_t bytes = 0;
};

// One of the shapes that a graph was compiled for.
struct NpuGroup {
  std::vector<NpuTensor> inputs;  // in the order in which run() wants them
  std::vector<NpuTensor> outputs;
};

// A compiled graph with its weights, in NPU memory. Threads: any; runs of one graph follow one
// another.
class NpuGraph {
 public:
  virtual ~NpuGraph() = default;
  virtual std::span<const NpuGroup> groups() const = 0;
  // Runs one group and waits for it. A slice for every tensor, of at least its bytes. Allocates
  // nothing.
  virtual void run(std::size_t group, std::span<const NpuSlice> inputs,
                   std::span<const NpuSlice> outputs) = 0;
};

// Threads: any. Memory and graphs keep it alive.
class NpuDevice {
 public:
  virtual ~NpuDevice() = default;

  // Contents are undefined. `tag` is a short name for the system's list of blocks.
  virtual std::unique_ptr<NpuMemory> allocate(std::size_t bytes, const char* tag) = 0;

  // Makes the processor's writes to the slice visible to the NPU, and the NPU's to the processor.
  // Whole cache lines: what the other side wrote in the same lines is lost.
  virtual void to_npu(const NpuSlice& slice) = 0;
  virtual void from_npu(const NpuSlice& slice) = 0;

  // The file is not needed afterwards.
  virtual std::unique_ptr<NpuGraph> load(const MappedFile& file) = 0;
};

}  // namespace runner
