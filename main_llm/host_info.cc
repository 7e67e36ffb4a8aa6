#include "main_llm/host_info.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include <charconv>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string_view>

#include "protocol/json_writer.h"
#include "runner/cmm_info.h"

namespace main_llm {
namespace {

std::string read_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// The number behind `label` in `text`.
std::optional<unsigned long long> number_behind(std::string_view text, std::string_view label) {
  const auto at = text.find(label);
  if (at == std::string_view::npos) return std::nullopt;
  auto rest = text.substr(at + label.size());
  rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
  unsigned long long number = 0;
  if (std::from_chars(rest.data(), rest.data() + rest.size(), number).ec != std::errc{}) {
    return std::nullopt;
  }
  return number;
}

std::string eth_info_json() {
  ifaddrs* first = nullptr;
  if (getifaddrs(&first) != 0) return "[]";
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(first, &freeifaddrs);
  std::string json = "[";
  for (const ifaddrs* entry = first; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != AF_INET) continue;
    char ip[INET_ADDRSTRLEN] = "";
    const auto* address = reinterpret_cast<const sockaddr_in*>(entry->ifa_addr);
    inet_ntop(AF_INET, &address->sin_addr, ip, sizeof ip);
    const std::string name = entry->ifa_name;
    if (json.size() > 1) json += ',';
    json += "{\"name\":" + protocol::json_string(name) + ",\"ip\":" + protocol::json_string(ip) +
            ",\"speed\":" + protocol::json_string(read_line("/sys/class/net/" + name + "/speed")) +
            "}";
  }
  return json + "]";
}

}  // namespace

HostMemory host_memory(const std::filesystem::path& root) {
  std::ostringstream text;
  text << std::ifstream(root / "proc/meminfo").rdbuf();
  const std::string meminfo = text.str();
  return {number_behind(meminfo, "MemTotal:").value_or(0),
          number_behind(meminfo, "MemAvailable:").value_or(0)};
}

std::string HostInfo::hwinfo_json() {
  const std::string temperature = read_line("/sys/class/thermal/thermal_zone0/temp");

  std::istringstream stat(read_line("/proc/stat"));
  std::string label;
  unsigned long long user = 0, nice = 0, system = 0, idle = 0;
  stat >> label >> user >> nice >> system >> idle;
  const auto busy = user + nice + system;
  const auto total = busy + idle;
  const auto elapsed = total - total_ticks_;
  const auto load = elapsed == 0 ? 0 : (busy - busy_ticks_) * 100 / elapsed;
  busy_ticks_ = busy;
  total_ticks_ = total;

  const HostMemory memory = host_memory("/");
  const auto used = memory.total_kib == 0
                        ? 0
                        : (memory.total_kib - memory.available_kib) * 100 / memory.total_kib;
  return "{\"temperature\":" + std::to_string(number_behind(temperature, "").value_or(0)) +
         ",\"cpu_loadavg\":" + std::to_string(load) + ",\"mem\":" + std::to_string(used) +
         ",\"eth_info\":" + eth_info_json() + "}";
}

std::string cmminfo_json(const std::filesystem::path& root) {
  const HostMemory memory = host_memory(root);
  const runner::CmmInfo info = runner::read_cmm_info(root).value_or(runner::CmmInfo{
      memory.total_kib, memory.total_kib - memory.available_kib, memory.available_kib});
  return "{\"total\":" + std::to_string(info.total_kib) +
         ",\"used\":" + std::to_string(info.used_kib) +
         ",\"remain\":" + std::to_string(info.remain_kib) + "}";
}

}  // namespace main_llm
