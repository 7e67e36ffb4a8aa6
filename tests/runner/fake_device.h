#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runner/npu/device.h"

// NPU memory that is plain memory, and graphs that only have a shape.
namespace runner::fakes {

class FakeMemory : public NpuMemory {
 public:
  explicit FakeMemory(std::size_t bytes) : bytes_(round_up(bytes, kCacheLine), std::byte{0xFF}) {
    slice_ = {reinterpret_cast<std::uintptr_t>(bytes_.data()), bytes_.data(), bytes_.size()};
  }

 private:
  std::vector<std::byte> bytes_;
};

class FakeGraph : public NpuGraph {
 public:
  explicit FakeGraph(std::vector<NpuGroup> groups) : groups_(std::move(groups)) {}
  std::span<const NpuGroup> groups() const override { return groups_; }
  void run(std::size_t, std::span<const NpuSlice>, std::span<const NpuSlice>) override {}

 private:
  std::vector<NpuGroup> groups_;
};

// Records what is flushed and invalidated, as offsets from the block asked for last.
class FakeDevice : public NpuDevice {
 public:
  std::unique_ptr<NpuMemory> allocate(std::size_t bytes, const char*) override {
    return std::make_unique<FakeMemory>(bytes);
  }
  void to_npu(const NpuSlice& slice) override { flushed.push_back(slice); }
  void from_npu(const NpuSlice& slice) override { invalidated.push_back(slice); }
  std::unique_ptr<NpuGraph> load(const MappedFile&) override { return nullptr; }

  std::vector<NpuSlice> flushed;
  std::vector<NpuSlice> invalidated;
};

}  // namespace runner::fakes
