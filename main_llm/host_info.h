#pragma once

#include <filesystem>
#include <string>

namespace main_llm {

// What `sys.hwinfo` and `sys.cmminfo` tell of the machine, as the JSON of their `data`.

// {"temperature": millidegrees Celsius (0 where unknown), "cpu_loadavg": percent since the last
// call (or since boot), "mem": percent in use, "eth_info": [{"name","ip","speed"}]}.
// Threads: one call at a time.
class HostInfo {
 public:
  std::string hwinfo_json();

 private:
  unsigned long long busy_ticks_ = 0;
  unsigned long long total_ticks_ = 0;
};

// The machine's memory; zero where `root`/proc/meminfo does not tell.
struct HostMemory {
  unsigned long long total_kib = 0;
  unsigned long long available_kib = 0;
};
HostMemory host_memory(const std::filesystem::path& root);

// {"total","used","remain"} in KiB: of the NPU's memory, or of the machine's where there is none.
// `root` stands in front of /proc.
std::string cmminfo_json(const std::filesystem::path& root);

}  // namespace main_llm
