// Functions of libax_engine.so that need no handle, and those that nobody should need.

#include <cstring>

#include "tests/ax_sim/ax_abi.h"
#include "tests/ax_sim/sim_model.h"
#include "tests/ax_sim/sim_sys.h"

namespace {

std::int32_t not_supported(const char* function) {
  AX_SIM_Violation("%s: not simulated", function);
  return ax_sim::kNpuNotSupported;
}

}  // namespace

const char* AX_ENGINE_GetVersion() { return "2.6.3sp (simulated)"; }

const char* AX_ENGINE_GetModelToolsVersion(void*) { return "make_sim_model"; }

std::int32_t AX_ENGINE_GetModelType(const void* data, std::uint32_t bytes, std::int32_t* type) {
  constexpr std::int32_t kWholeNpu = 1;
  if (bytes < sizeof(ax_sim::ModelHeader) ||
      std::memcmp(data, ax_sim::kMagic, sizeof ax_sim::kMagic) != 0) {
    return -1;
  }
  *type = kWholeNpu;
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
