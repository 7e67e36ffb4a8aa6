// CMM: blocks of memory with physical addresses, their caches, and who may touch what.

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "tests/ax_sim/ax_abi.h"
#include "tests/ax_sim/sys_blocks.h"
#include "tests/ax_sim/sys_state.h"

namespace ax_sim {
namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kLine = 64;  // of the CPU's cache

// A page that may not be touched follows, so that running over the end is noticed at once.
std::byte* map_pages(std::uint64_t size) {
  void* pages =
      ::mmap(nullptr, size + kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return nullptr;
  auto* first = static_cast<std::byte*>(pages);
  ::mprotect(first + size, kPage, PROT_NONE);
  std::memset(first, 0xFF, size);  // NaN in bf16, an index far out
  return first;
}

void unmap(const Block& block) {
  ::munmap(block.host, block.size + kPage);
  if (block.device != block.host) ::munmap(block.device, block.size + kPage);
}

std::int32_t allocate(const char* function, std::uint64_t* phy, void** vir, std::uint32_t bytes,
                      std::uint32_t align, const signed char* tag, bool cached) {
  if (const std::int32_t code = AX_SIM_Fault(function); code != 0) return code;
  if (!initialised(function)) return kSysNotInitialised;
  if (phy == nullptr || vir == nullptr) {
    AX_SIM_Violation("%s: NULL for an address output", function);
    return kSysNull;
  }
  if (bytes == 0 || (align & (align - 1)) != 0) {
    AX_SIM_Violation("%s: %u bytes aligned to %u", function, bytes, align);
    return kSysRange;
  }
  Block block;
  block.bytes = bytes;
  block.size = (bytes + kPage - 1) / kPage * kPage;
  block.cached = cached;
  if (tag != nullptr) {
    std::strncpy(block.tag, reinterpret_cast<const char*>(tag), sizeof block.tag - 1);
  }
  if (const std::int32_t code = AX_SIM_TakeCmm(block.size); code != 0) return code;
  block.host = map_pages(block.size);
  block.device = cached && !AX_SIM_Settings().free ? map_pages(block.size) : block.host;
  if (block.host == nullptr || block.device == nullptr) std::abort();

  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  const std::uint64_t unit = align > kPage ? align : kPage;
  const std::uint64_t address = (m.next + unit - 1) / unit * unit;
  m.next = address + block.size + kPage;
  m.blocks[address] = block;
  *phy = address;
  *vir = block.host;
  const std::lock_guard state_lock(state().mutex);
  ++state().counters.allocations;
  ++state().counters.live_blocks;
  return 0;
}

// The block of a cache operation whose arguments are right, else nullptr with a violation.
// REQUIRES: memory().mutex.
Block* checked_range(const char* function, std::uint64_t phy, const void* vir, std::uint32_t bytes,
                     std::uint64_t* offset) {
  const auto found = find_in(memory().blocks, phy);
  if (found == memory().blocks.end()) {
    report_unknown(function, phy);
    return nullptr;
  }
  Block& block = found->second;
  *offset = phy - found->first;
  if (vir != block.host + *offset) {
    AX_SIM_Violation("%s: physical address 0x%llx is mapped at %p, not at %p (tag %s)", function,
                     wide(phy), static_cast<void*>(block.host + *offset), vir, block.tag);
    return nullptr;
  }
  if (bytes == 0 || *offset + bytes > block.bytes) {
    AX_SIM_Violation("%s: %u bytes at offset %llu of a block of %llu bytes (tag %s)", function,
                     bytes, wide(*offset), wide(block.bytes), block.tag);
    return nullptr;
  }
  return &block;
}

std::int32_t maintain(const char* function, bool flush, std::uint64_t phy, const void* vir,
                      std::uint32_t bytes) {
  if (is_free.load(std::memory_order_relaxed)) return 0;
  if (const std::int32_t code = AX_SIM_Fault(function); code != 0) return code;
  if (!initialised(function)) return kSysNotInitialised;
  const std::lock_guard lock(memory().mutex);
  std::uint64_t offset = 0;
  const Block* block = checked_range(function, phy, vir, bytes, &offset);
  if (block == nullptr) return kSysAddress;
  if (block->device != block->host) {
    const std::uint64_t first = offset / kLine * kLine;
    const std::uint64_t length = (offset + bytes + kLine - 1) / kLine * kLine - first;
    std::byte* from = flush ? block->host : block->device;
    std::byte* to = flush ? block->device : block->host;
    std::memcpy(to + first, from + first, length);
  }
  const std::lock_guard state_lock(state().mutex);
  AxSimCounters& counters = state().counters;
  ++(flush ? counters.flush_calls : counters.invalidate_calls);
  (flush ? counters.flush_bytes : counters.invalidate_bytes) += bytes;
  return 0;
}

}  // namespace

Memory& memory() {
  static Memory& instance = *new Memory;
  return instance;
}

std::map<std::uint64_t, Block>::iterator find_in(std::map<std::uint64_t, Block>& blocks,
                                                 std::uint64_t phy) {
  auto found = blocks.upper_bound(phy);
  if (found == blocks.begin()) return blocks.end();
  --found;
  return phy - found->first < found->second.bytes ? found : blocks.end();
}

void report_unknown(const char* function, std::uint64_t phy) {
  const auto freed = find_in(memory().freed, phy);
  if (freed == memory().freed.end()) {
    AX_SIM_Violation("%s: physical address 0x%llx is in no block", function, wide(phy));
  } else {
    AX_SIM_Violation("%s: physical address 0x%llx is in a freed block (tag %s, %llu bytes)",
                     function, wide(phy), freed->second.tag, wide(freed->second.bytes));
  }
}

bool initialised(const char* function) {
  if (AX_SIM_Initialised()) return true;
  AX_SIM_Violation("%s: called while AX_SYS_Init is not in effect", function);
  return false;
}

std::size_t free_left_blocks() {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  for (const auto& [phy, block] : m.blocks) {
    AX_SIM_Violation("AX_SYS_Deinit: block 0x%llx is left (tag %s, %llu bytes)", wide(phy),
                     block.tag, wide(block.bytes));
    unmap(block);
    AX_SIM_GiveCmm(block.size);
    m.freed[phy] = block;
  }
  const std::size_t left = m.blocks.size();
  m.blocks.clear();
  const std::lock_guard state_lock(state().mutex);
  state().counters.live_blocks -= left;
  return left;
}

}  // namespace ax_sim

using ax_sim::memory;

bool AX_SIM_FindPlace(std::uint64_t phy, const void* vir, ax_sim::Place* out) {
  const std::lock_guard lock(memory().mutex);
  const auto found = ax_sim::find_in(memory().blocks, phy);
  if (found == memory().blocks.end()) return false;
  const ax_sim::Block& block = found->second;
  out->offset = phy - found->first;
  out->device = block.device + out->offset;
  out->bytes = block.bytes;
  out->same_as_host = vir == block.host + out->offset;
  std::memcpy(out->tag, block.tag, sizeof out->tag);
  return true;
}

std::int32_t AX_SIM_TakeCmm(std::uint64_t bytes) {
  const std::lock_guard lock(ax_sim::state().mutex);
  AxSimCounters& counters = ax_sim::state().counters;
  const std::uint64_t limit = ax_sim::state().settings.cmm_limit;
  if (limit != 0 && counters.cmm_bytes + bytes > limit) return ax_sim::kSysNoMemory;
  counters.cmm_bytes += bytes;
  if (counters.cmm_bytes > counters.cmm_peak_bytes) counters.cmm_peak_bytes = counters.cmm_bytes;
  return 0;
}

void AX_SIM_GiveCmm(std::uint64_t bytes) {
  const std::lock_guard lock(ax_sim::state().mutex);
  ax_sim::state().counters.cmm_bytes -= bytes;
}

std::int32_t AX_SYS_MemAlloc(std::uint64_t* phy, void** vir, std::uint32_t bytes,
                             std::uint32_t align, const signed char* tag) {
  return ax_sim::allocate("AX_SYS_MemAlloc", phy, vir, bytes, align, tag, false);
}

std::int32_t AX_SYS_MemAllocCached(std::uint64_t* phy, void** vir, std::uint32_t bytes,
                                   std::uint32_t align, const signed char* tag) {
  return ax_sim::allocate("AX_SYS_MemAllocCached", phy, vir, bytes, align, tag, true);
}

std::int32_t AX_SYS_MemFree(std::uint64_t phy, void* vir) {
  if (const std::int32_t code = AX_SIM_Fault("AX_SYS_MemFree"); code != 0) return code;
  if (!ax_sim::initialised("AX_SYS_MemFree")) return ax_sim::kSysNotInitialised;
  const std::lock_guard lock(memory().mutex);
  const auto found = memory().blocks.find(phy);
  if (found == memory().blocks.end()) {
    ax_sim::report_unknown("AX_SYS_MemFree", phy);
    return ax_sim::kSysFreeFailed;
  }
  const ax_sim::Block block = found->second;
  if (vir != block.host) {
    AX_SIM_Violation("AX_SYS_MemFree: block 0x%llx is mapped at %p, not at %p (tag %s)",
                     ax_sim::wide(phy), static_cast<void*>(block.host), vir, block.tag);
    return ax_sim::kSysFreeFailed;
  }
  ax_sim::unmap(block);
  AX_SIM_GiveCmm(block.size);
  memory().freed[phy] = block;
  memory().blocks.erase(found);
  const std::lock_guard state_lock(ax_sim::state().mutex);
  --ax_sim::state().counters.live_blocks;
  return 0;
}

std::int32_t AX_SYS_MflushCache(std::uint64_t phy, void* vir, std::uint32_t bytes) {
  return ax_sim::maintain("AX_SYS_MflushCache", true, phy, vir, bytes);
}

std::int32_t AX_SYS_MinvalidateCache(std::uint64_t phy, void* vir, std::uint32_t bytes) {
  return ax_sim::maintain("AX_SYS_MinvalidateCache", false, phy, vir, bytes);
}
