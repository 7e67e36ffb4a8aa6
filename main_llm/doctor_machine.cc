#include <gnu/libc-version.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <system_error>

#include "main_llm/doctor.h"
#include "main_llm/doctor_facts.h"
#include "main_llm/host_info.h"
#include "main_llm/version.h"

namespace main_llm {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kLittleBytes = std::uint64_t{100} << 20U;

Finding check_platform() {
  utsname name{};
  uname(&name);
  const std::string machine = name.machine;
  const std::string glibc = gnu_get_libc_version();
  Finding finding{"platform", CheckState::kOk,
                  machine + ", glibc " + glibc + ", Linux " + name.release, ""};
  char* rest = nullptr;
  const long major = std::strtol(glibc.c_str(), &rest, 10);
  const long minor = *rest == '.' ? std::strtol(rest + 1, nullptr, 10) : 0;
  if (machine == "aarch64" && (major < 2 || (major == 2 && minor < 35))) {
    finding.state = CheckState::kWarn;
    finding.found += ": older than the 2.35 that the program of deploy/build-arm64 needs";
    finding.fix = "update the module to an image with Ubuntu 22.04, or build the program on it";
  }
  return finding;
}

Finding check_memory(const DoctorView& view) {
  const HostMemory memory = host_memory(view.root);
  if (memory.total_kib == 0) {
    return {"memory", CheckState::kSkip, "no /proc/meminfo", ""};
  }
  Finding finding{"memory", CheckState::kOk,
                  mib_text(memory.available_kib * 1024) + " of " +
                      mib_text(memory.total_kib * 1024) + " available",
                  ""};
  if (memory.available_kib * 1024 < kLittleBytes) {
    finding.state = CheckState::kWarn;
    finding.fix = "stop what is not needed: ps --sort=-rss -eo rss,pid,args | head";
  }
  return finding;
}

Finding check_disk(const DoctorView& view) {
  const char* const folder = view.has("/opt/m5stack") ? "/opt/m5stack" : "/";
  std::error_code error;
  const fs::space_info space = fs::space(view.at(folder), error);
  if (error) return {"disk", CheckState::kSkip, std::string(folder) + ": " + error.message(), ""};
  Finding finding{
      "disk", CheckState::kOk,
      mib_text(space.available) + " of " + mib_text(space.capacity) + " free at " + folder, ""};
  if (space.available < kLittleBytes) {
    finding.state = CheckState::kWarn;
    finding.fix = "remove models that are not used (du -sh /opt/m5stack/data/*), apt-get clean";
  }
  return finding;
}

// Where llm-sys and units put their sockets: made when it is missing, so that a file of that name
// or one that cannot be written is all that can be wrong.
Finding check_socket_folder(const DoctorView& view, const std::string& id, const fs::path& here) {
  const std::string name = view.shown(here);
  std::error_code error;
  const fs::file_status status = fs::status(here, error);
  const bool is_base = here == view.socket_root;
  if (!fs::exists(status)) {
    if (is_base) return {id, CheckState::kFail, name + " is not there", "mkdir -m 1777 " + name};
    return {id, CheckState::kOk, name + " is made when it is needed", ""};
  }
  if (!fs::is_directory(status)) {
    return {id, CheckState::kFail, name + " is not a folder: sockets of units cannot be made",
            "rm " + name + " && systemctl restart llm-sys llm-llm"};
  }
  if (access(here.c_str(), W_OK | X_OK) != 0) {
    const std::string why = std::error_code(errno, std::generic_category()).message();
    return {id, CheckState::kFail,
            name + " cannot be written (" + why + "): units make sockets there",
            errno == EROFS
                ? "mount -o remount,rw " + name
                : std::string("run as root, or chmod ") + (is_base ? "1777 " : "777 ") + name};
  }
  return {id, CheckState::kOk, name + " can be written", ""};
}

}  // namespace

Findings check_machine(const DoctorView& view) {
  return {{"version", CheckState::kOk, "llm_llm " + std::string(kVersion), ""},
          check_platform(),
          check_memory(view),
          check_disk(view),
          check_socket_folder(view, "tmp", view.socket_root),
          check_socket_folder(view, "tmp.llm", view.socket_root / "llm")};
}

}  // namespace main_llm
