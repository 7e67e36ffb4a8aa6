// The rest of libax_sys.so: logging, plain memory, the chip.

#include <atomic>
#include <cstdio>
#include <cstdlib>

#include "tests/ax_sim/ax_abi.h"

namespace {

constexpr std::int32_t kChipAx630c = 4;
constexpr std::int32_t kError = 3;
constexpr std::int32_t kNowhere = 3;
std::atomic<std::int32_t> log_level{kError};
std::atomic<std::int32_t> log_target{1};

}  // namespace

std::int32_t AX_SYS_GetChipType() { return kChipAx630c; }

std::int32_t AX_SYS_SetLogLevel(std::int32_t level) {
  log_level = level;
  return 0;
}

std::int32_t AX_SYS_SetLogTarget(std::int32_t target) {
  log_target = target;
  return 0;
}

void AX_SYS_LogPrint(std::int32_t level, const char* text) {
  if (level <= log_level && log_target != kNowhere) std::fprintf(stderr, "[ax] %s\n", text);
}

void* AX_OS_MEM_Malloc(std::size_t bytes) { return std::aligned_alloc(64, (bytes + 63) / 64 * 64); }

void AX_OS_MEM_Free(void* memory) { std::free(memory); }
