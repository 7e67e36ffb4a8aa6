// Functions of libax_engine.so that no run depends on, and those that nobody should need.

#include <cstring>

#include "tests/ax_sim/engine_handles.h"
#include "tests/ax_sim/sim_model.h"
#include "tests/ax_sim/sim_sys.h"

using ax_sim::enter;
using ax_sim::find_handle;

namespace {

constexpr std::int32_t kWholeNpu = 1;

std::int32_t not_supported(const char* function) {
  AX_SIM_Violation("%s: not simulated", function);
  return ax_sim::kNpuNotSupported;
}

}  // namespace

const char* AX_ENGINE_GetVersion() { return "2.6.3sp (simulated)"; }

const char* AX_ENGINE_GetModelToolsVersion(void*) { return "make_sim_model"; }

std::int32_t AX_ENGINE_GetModelType(const void* data, std::uint32_t bytes, std::int32_t* type) {
  if (bytes < sizeof(ax_sim::ModelHeader) ||
      std::memcmp(data, ax_sim::kMagic, sizeof ax_sim::kMagic) != 0) {
    return -1;
  }
  *type = kWholeNpu;
  return 0;
}

std::int32_t AX_ENGINE_GetHandleModelType(void* handle, std::int32_t* type) {
  if (const std::int32_t code = enter("AX_ENGINE_GetHandleModelType"); code != 0) return code;
  if (find_handle("AX_ENGINE_GetHandleModelType", handle) == nullptr) return ax_sim::kNpuHandle;
  *type = kWholeNpu;
  return 0;
}

std::int32_t AX_ENGINE_SetAffinity(void* handle, std::uint32_t set) {
  if (const std::int32_t code = enter("AX_ENGINE_SetAffinity"); code != 0) return code;
  const auto found = find_handle("AX_ENGINE_SetAffinity", handle);
  if (found == nullptr) return ax_sim::kNpuHandle;
  if (set != 1) return ax_sim::kNpuArgument;
  found->affinity = set;
  return 0;
}

std::int32_t AX_ENGINE_GetAffinity(void* handle, std::uint32_t* set) {
  if (const std::int32_t code = enter("AX_ENGINE_GetAffinity"); code != 0) return code;
  const auto found = find_handle("AX_ENGINE_GetAffinity", handle);
  if (found == nullptr) return ax_sim::kNpuHandle;
  *set = found->affinity;
  return 0;
}

std::int32_t AX_ENGINE_GetCMMUsage(void* handle, ax_sim::CmmInfo* out) {
  if (const std::int32_t code = enter("AX_ENGINE_GetCMMUsage"); code != 0) return code;
  const auto found = find_handle("AX_ENGINE_GetCMMUsage", handle);
  if (found == nullptr) return ax_sim::kNpuHandle;
  out->bytes = static_cast<std::uint32_t>(found->cmm_bytes);
  return 0;
}

void AX_ENGINE_NPUReset() { AX_SIM_Violation("AX_ENGINE_NPUReset: stops other units' runs"); }

std::int32_t AX_ENGINE_CloneHandle() { return not_supported("AX_ENGINE_CloneHandle"); }
std::int32_t AX_ENGINE_DestroyKernelHandle() {
  return not_supported("AX_ENGINE_DestroyKernelHandle");
}
std::int32_t AX_ENGINE_GetExtraData() { return not_supported("AX_ENGINE_GetExtraData"); }
std::int32_t AX_ENGINE_GetThrottle() { return not_supported("AX_ENGINE_GetThrottle"); }
std::int32_t AX_ENGINE_GetThrottleConfig() { return not_supported("AX_ENGINE_GetThrottleConfig"); }
std::int32_t AX_ENGINE_GetTotalOps() { return not_supported("AX_ENGINE_GetTotalOps"); }
std::int32_t AX_ENGINE_GetVNPUInfo() { return not_supported("AX_ENGINE_GetVNPUInfo"); }
std::int32_t AX_ENGINE_SetThrottle() { return not_supported("AX_ENGINE_SetThrottle"); }
