#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "main_llm/doctor.h"

// Facts about a machine that several checks of the doctor need.
namespace main_llm {

// The NPU's device nodes that its libraries open (libax_sys.so of AX620E's SDK 2.0.0; the last
// one libax_interpreter.so).
inline constexpr const char* kNpuNodes[] = {"/dev/ax_sys", "/dev/ax_cmm",    "/dev/ax_pool",
                                            "/dev/ax_log", "/dev/ax_os_mem", "/dev/npu"};

// A package as dpkg knows it.
struct DebianPackage {
  std::string wanted;  // "install", "hold", "deinstall", …
  std::string state;   // "installed", "half-configured", …
  std::string version;
};

// nullopt for a package that dpkg does not know, or where there is no dpkg.
std::optional<DebianPackage> find_package(const DoctorView& view, std::string_view name);

// llm-llm.service as systemd reads it: the file that counts, and drop-ins.
struct LlmService {
  std::string file;  // "" where there is none
  bool is_masked = false;
  std::string program;  // what ExecStart starts; "" where there is none
};

LlmService read_llm_service(const DoctorView& view);

// "1234 MiB".
std::string mib_text(std::uint64_t bytes);

// Joined by ", ".
std::string joined(const std::vector<std::string>& parts);

}  // namespace main_llm
