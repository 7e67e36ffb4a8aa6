// What can be asked about CMM, and further mappings of it. An uncached mapping of a cached block is
// the device's copy.

#include <cstring>

#include "tests/ax_sim/ax_abi.h"
#include "tests/ax_sim/sys_blocks.h"
#include "tests/ax_sim/sys_state.h"

namespace ax_sim {
namespace {

constexpr std::uint64_t kBoardBytes = std::uint64_t{3} << 30;  // what a board has
constexpr std::int32_t kCachedFlag = 2;
constexpr std::int32_t kUncachedFlag = 4;

void* mapping(const char* function, std::uint64_t phy, std::uint32_t bytes, bool cached) {
  if (!initialised(function)) return nullptr;
  const std::lock_guard lock(memory().mutex);
  const auto found = find_in(memory().blocks, phy);
  if (found == memory().blocks.end()) {
    report_unknown(function, phy);
    return nullptr;
  }
  const std::uint64_t offset = phy - found->first;
  if (offset + bytes > found->second.bytes) return nullptr;
  return (cached ? found->second.host : found->second.device) + offset;
}

}  // namespace
}  // namespace ax_sim

using ax_sim::memory;

void* AX_SYS_Mmap(std::uint64_t phy, std::uint32_t bytes) {
  return ax_sim::mapping("AX_SYS_Mmap", phy, bytes, false);
}

void* AX_SYS_MmapCache(std::uint64_t phy, std::uint32_t bytes) {
  return ax_sim::mapping("AX_SYS_MmapCache", phy, bytes, true);
}

void* AX_SYS_MmapFast(std::uint64_t phy, std::uint32_t bytes) {
  return ax_sim::mapping("AX_SYS_MmapFast", phy, bytes, false);
}

void* AX_SYS_MmapCacheFast(std::uint64_t phy, std::uint32_t bytes) {
  return ax_sim::mapping("AX_SYS_MmapCacheFast", phy, bytes, true);
}

std::int32_t AX_SYS_Munmap(void*, std::uint32_t) { return 0; }

std::int32_t AX_SYS_MemGetBlockInfoByPhy(std::uint64_t phy, std::int32_t* type, void** vir,
                                         std::uint32_t* bytes) {
  const std::lock_guard lock(memory().mutex);
  const auto found = ax_sim::find_in(memory().blocks, phy);
  if (found == memory().blocks.end()) return ax_sim::kSysAddress;
  *type = found->second.cached ? ax_sim::kCachedFlag : ax_sim::kUncachedFlag;
  *vir = found->second.host;
  *bytes = static_cast<std::uint32_t>(found->second.bytes);
  return 0;
}

std::int32_t AX_SYS_MemGetBlockInfoByVirt(void* vir, std::uint64_t* phy, std::int32_t* type) {
  const std::lock_guard lock(memory().mutex);
  for (const auto& [address, block] : memory().blocks) {
    const auto* at = static_cast<const std::byte*>(vir);
    if (at < block.host || at >= block.host + block.bytes) continue;
    *phy = address + static_cast<std::uint64_t>(at - block.host);
    *type = block.cached ? ax_sim::kCachedFlag : ax_sim::kUncachedFlag;
    return 0;
  }
  return ax_sim::kSysAddress;
}

std::int32_t AX_SYS_MemGetPartitionInfo(ax_sim::CmmPartitions* out) {
  *out = {};
  const std::uint64_t limit = AX_SIM_Settings().cmm_limit;
  out->count = 1;
  out->partitions[0].phy = ax_sim::kFirstAddress;
  out->partitions[0].kib =
      static_cast<std::uint32_t>((limit == 0 ? ax_sim::kBoardBytes : limit) >> 10);
  std::memcpy(out->partitions[0].name, "anonymous", 10);
  return 0;
}

std::int32_t AX_SYS_MemQueryStatus(ax_sim::CmmStatus* out) {
  *out = {};
  AX_SYS_MemGetPartitionInfo(&out->partitions);
  AxSimCounters counters;
  AX_SIM_GetCounters(&counters);
  const auto used = static_cast<std::uint32_t>(counters.cmm_bytes >> 10);
  out->total_kib = out->partitions.partitions[0].kib;
  out->remaining_kib = out->total_kib > used ? out->total_kib - used : 0;
  out->blocks = static_cast<std::uint32_t>(counters.live_blocks);
  return 0;
}
