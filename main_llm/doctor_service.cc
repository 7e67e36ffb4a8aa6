#include <unistd.h>

#include <sstream>
#include <system_error>

#include "main_llm/doctor.h"
#include "main_llm/doctor_facts.h"

namespace main_llm {
namespace {

namespace fs = std::filesystem;

constexpr const char* kReinstall = "apt-get install --reinstall llm-llm";

Finding check_package(const DoctorView& view) {
  const auto package = find_package(view, "llm-llm");
  if (!package || package->state == "not-installed" || package->state == "config-files") {
    return {"package", CheckState::kOk, "llm-llm is not installed as a package", ""};
  }
  Finding finding{"package", CheckState::kOk, "llm-llm " + package->version, ""};
  for (const char* other : {"llm-sys", "lib-llm"}) {
    if (const auto found = find_package(view, other)) {
      finding.found += ", " + std::string(other) + " " + found->version;
    }
  }
  if (package->state != "installed") {
    finding.state = CheckState::kFail;
    finding.found += "; llm-llm is " + package->state;
    finding.fix = "dpkg --configure -a && " + std::string(kReinstall);
  } else if (package->wanted == "hold") {
    finding.found += "; llm-llm is held";
  } else if (package->version.find(':') == std::string::npos) {
    // Our own package has an epoch, which no version of M5Stack's replaces.
    finding.state = CheckState::kWarn;
    finding.found +=
        "; llm-llm is not held: its next upgrade puts M5Stack's unit in place of this "
        "one";
    finding.fix = "apt-mark hold llm-llm";
  }
  return finding;
}

// The newest program of the unit beside one that is missing.
std::string other_program(const DoctorView& view, const fs::path& program) {
  std::string newest;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(view.at(program.parent_path()), error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("llm_llm") || name <= newest) continue;
    if (access(view.at(program.parent_path() / name).c_str(), X_OK) == 0) newest = name;
  }
  return newest;
}

Finding check_program(const DoctorView& view, const LlmService& service) {
  const std::string id = "service.program";
  if (service.program.empty()) {
    return {id, CheckState::kFail, service.file + " has no ExecStart", kReinstall};
  }
  const fs::path here = view.at(service.program);
  const std::string starts = service.file + " starts " + service.program;
  std::error_code error;
  if (!fs::is_regular_file(here, error)) {
    const std::string other = other_program(view, service.program);
    return {id, CheckState::kFail, starts + ", which is not there",
            other.empty()
                ? kReinstall
                : "ln -sfn " + other + " " + service.program + " && systemctl restart llm-llm"};
  }
  if ((fs::status(here, error).permissions() & fs::perms::owner_exec) == fs::perms::none) {
    return {id, CheckState::kFail, starts + ", which is not executable",
            "chmod 755 " + view.shown(here) + " && systemctl restart llm-llm"};
  }
  const std::string target = view.shown(here);
  return {id, CheckState::kOk, starts + (target == service.program ? "" : " (" + target + ")"), ""};
}

Finding check_enabled(const DoctorView& view) {
  for (const char* folder : {"/etc/systemd/system", "/lib/systemd/system"}) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(view.at(folder), error)) {
      std::error_code missing;
      if (entry.path().extension() == ".wants" &&
          fs::is_symlink(entry.path() / "llm-llm.service", missing)) {
        return {"service.enabled", CheckState::kOk, "wanted by " + entry.path().stem().string(),
                ""};
      }
    }
  }
  return {"service.enabled", CheckState::kWarn, "llm-llm does not start at boot",
          "systemctl enable llm-llm"};
}

// The value of `key` in the lines "Key=value" that systemctl prints.
std::string property(const std::string& lines, const std::string& key) {
  std::istringstream text(lines);
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with(key + "=")) return line.substr(key.size() + 1);
  }
  return "";
}

Finding check_active(const DoctorView& view) {
  const std::string id = "service.active";
  const std::string log = "journalctl -u llm-llm -n 50";
  if (!view.systemctl)
    return {id, CheckState::kSkip, "another machine's: systemd is not asked", ""};
  const auto shown =
      view.systemctl({"show", "--property=ActiveState,SubState,NRestarts", "llm-llm.service"});
  if (!shown) return {id, CheckState::kSkip, "systemctl does not answer", ""};
  const std::string active = property(*shown, "ActiveState");
  const std::string detail = property(*shown, "SubState");
  const std::string state = active + " (" + detail + ")";
  const std::string restarts = property(*shown, "NRestarts");
  if (active == "active") {
    const bool has_ended = !restarts.empty() && restarts != "0";
    if (!has_ended) return {id, CheckState::kOk, state, ""};
    return {id, CheckState::kWarn, state + ", restarts by systemd: " + restarts, log};
  }
  if (detail == "auto-restart") {
    return {id, CheckState::kFail, state + ", it ends again and again: restarts " + restarts, log};
  }
  if (active == "activating") {
    return {id, CheckState::kWarn, state + ", not ready yet", "ask again; if it stays so: " + log};
  }
  return {id, CheckState::kFail, state,
          "systemctl reset-failed llm-llm; systemctl start llm-llm; if it ends again: " + log};
}

}  // namespace

Findings check_service(const DoctorView& view) {
  const LlmService service = read_llm_service(view);
  if (!view.has_stackflow() && service.file.empty()) {
    return {{"service", CheckState::kSkip, "no StackFlow here", ""}};
  }
  Findings findings{check_package(view)};
  if (service.is_masked) {
    findings.push_back({"service.program", CheckState::kFail, service.file + " is masked",
                        "systemctl unmask llm-llm && systemctl start llm-llm"});
  } else if (service.file.empty()) {
    findings.push_back({"service.program", CheckState::kFail,
                        "there is no llm-llm.service: nothing starts the unit", kReinstall});
  } else {
    findings.push_back(check_program(view, service));
    findings.push_back(check_enabled(view));
    findings.push_back(check_active(view));
  }
  return findings;
}

}  // namespace main_llm
