#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>

// The blocks of CMM, for the sources of libax_sys.so.
namespace ax_sim {

inline constexpr std::uint64_t kFirstAddress = 0x80000000;

struct Block {
  std::uint64_t bytes = 0;  // as asked for
  std::uint64_t size = 0;   // in whole pages
  std::byte* host = nullptr;
  std::byte* device = nullptr;  // == host: one copy
  bool cached = false;
  char tag[32] = {};
};

struct Memory {
  std::mutex mutex;
  std::map<std::uint64_t, Block> blocks;  // live, by physical address
  std::map<std::uint64_t, Block> freed;   // addresses are never given again, so these stay known
  std::uint64_t next = kFirstAddress;
};

Memory& memory();

inline unsigned long long wide(std::uint64_t value) { return value; }

// The block of those that `phy` is in, else end(). REQUIRES: memory().mutex.
std::map<std::uint64_t, Block>::iterator find_in(std::map<std::uint64_t, Block>& blocks,
                                                 std::uint64_t phy);
// Says why `phy` is in no live block. REQUIRES: memory().mutex.
void report_unknown(const char* function, std::uint64_t phy);
// False with a violation when AX_SYS_Init is not in effect.
bool initialised(const char* function);

}  // namespace ax_sim
