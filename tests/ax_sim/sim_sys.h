#pragma once

#include <cstddef>
#include <cstdint>

// What libax_sys.so offers to the other two libraries of the simulator.
namespace ax_sim {

// Set from the environment at the first AX_SYS_Init.
struct Settings {
  bool free;                // AX_SIM_FREE
  std::uint32_t run_ms;     // AX_SIM_RUN_MS
  std::uint32_t hang_ms;    // AX_SIM_HANG_MS, 20 when not set
  std::uint64_t cmm_limit;  // AX_SIM_CMM_MIB in bytes; 0 for none
};

// A place in a live block.
struct Place {
  std::byte* device;     // what the NPU reads and writes
  std::uint64_t offset;  // of this place in its block
  std::uint64_t bytes;   // of the block as it was asked for
  bool same_as_host;     // vir is this place in the process's own mapping
  char tag[32];
};

enum class Count { kDecodeRuns, kPrefillRuns, kPrefillRows, kPostRuns, kLiveHandles };

}  // namespace ax_sim

extern "C" {
// Counts a call of `function`; the code that AX_SIM_FAIL asks for, else 0.
std::int32_t AX_SIM_Fault(const char* function);
// One line on stderr, counted.
__attribute__((format(printf, 1, 2))) void AX_SIM_Violation(const char* format, ...);
bool AX_SIM_Initialised();
ax_sim::Settings AX_SIM_Settings();
// AX_SIM_FREE, at no cost.
bool AX_SIM_IsFree();
void AX_SIM_Count(ax_sim::Count counter, std::int64_t difference);
// Where `phy` lies; false when in no live block. `vir` is only compared.
bool AX_SIM_FindPlace(std::uint64_t phy, const void* vir, ax_sim::Place* out);
// Takes CMM that is no block of the program's (weights): 0 or kSysNoMemory.
std::int32_t AX_SIM_TakeCmm(std::uint64_t bytes);
void AX_SIM_GiveCmm(std::uint64_t bytes);
// libax_engine.so says whether it is initialised: AX_SYS_Deinit before its deinit is a violation.
void AX_SIM_SetEngineOpen(bool open);
}
