#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace runner {

// The NPU's memory ("CMM") as its driver tells it, in KiB.
struct CmmInfo {
  std::uint64_t total_kib = 0;
  std::uint64_t used_kib = 0;
  std::uint64_t remain_kib = 0;
};

// From the last line of `root`/proc/ax_proc/mem_cmm_info; nullopt where there is no such driver.
std::optional<CmmInfo> read_cmm_info(const std::filesystem::path& root);

}  // namespace runner
