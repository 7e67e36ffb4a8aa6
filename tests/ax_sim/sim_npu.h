#pragma once

#include <cstddef>
#include <cstdint>

#include "tests/ax_sim/sim_model.h"

// What libax_interpreter.so offers to libax_engine.so: models, and their runs over device memory.
namespace ax_sim {

class NpuModel;

struct NpuTensor {
  const char* name;  // a literal, one address per name
  std::int32_t shape[3];
  std::uint8_t rank;
  std::int32_t type;
  std::uint32_t bytes;
};

inline constexpr std::uint32_t kMaxTensors = 5;

// Tensors in the order in which the file lists them.
struct NpuGroup {
  GroupHeader header;
  NpuTensor inputs[kMaxTensors];
  std::uint32_t input_count;
  NpuTensor outputs[kMaxTensors];
  std::uint32_t output_count;
};

// A bound tensor: the device's address of its first byte. phy identifies it for ever.
struct NpuBinding {
  std::byte* data;
  std::uint64_t phy;
};

}  // namespace ax_sim

extern "C" {
// nullptr and a log line when the bytes are no simulated model, or lack the weights this needs.
// Copies what it needs.
ax_sim::NpuModel* AX_NPU_Open(const void* data, std::uint32_t bytes);
void AX_NPU_Close(ax_sim::NpuModel* model);
const ax_sim::ModelHeader* AX_NPU_Header(const ax_sim::NpuModel* model);
const ax_sim::NpuGroup* AX_NPU_Group(const ax_sim::NpuModel* model, std::uint32_t group);
// Checks what the inputs contain, then computes. REQUIRES: every tensor is bound, in the group's
// order; one thread at a time. Outputs may lie in slots of K_cache and V_cache that the mask hides.
std::int32_t AX_NPU_Run(ax_sim::NpuModel* model, std::uint32_t group,
                        const ax_sim::NpuBinding* inputs, const ax_sim::NpuBinding* outputs);
}
