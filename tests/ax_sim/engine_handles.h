#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/ax_sim/ax_abi.h"
#include "tests/ax_sim/sim_npu.h"

// Handles and contexts of libax_engine.so. The pointers that callers get are numbers, not
// addresses, and none is given twice: using one after its end is noticed.
namespace ax_sim {

struct NpuCloser {
  void operator()(NpuModel* model) const { AX_NPU_Close(model); }
};

// Descriptions of one group, as callers see them.
struct GroupDesc {
  std::vector<TensorDesc> inputs;
  std::vector<TensorDesc> outputs;
  IoDesc io{};
};

struct EngineHandle {
  std::string name;  // for messages: "layer 3", "post model"
  std::unique_ptr<NpuModel, NpuCloser> model;
  std::uint64_t cmm_bytes = 0;
  std::vector<std::unique_ptr<GroupDesc>> groups;
  bool default_context = false;
  std::vector<void*> contexts;
  std::uint32_t affinity = 1;
  std::atomic<bool> running{false};
};

// The fault that is asked for, or the code for a call while AX_ENGINE_Init is not in effect
// (a violation), else 0.
std::int32_t enter(const char* function);
// The handle; nullptr with a violation when there is none (destroyed, never created, NULL).
std::shared_ptr<EngineHandle> find_handle(const char* function, void* handle);

// engine_run.cc: checks the buffers and runs the group. REQUIRES: group exists.
std::int32_t checked_run(const char* function, EngineHandle& handle, std::uint32_t group,
                         const IoRun* io);

}  // namespace ax_sim
