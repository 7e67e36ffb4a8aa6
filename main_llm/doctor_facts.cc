#include "main_llm/doctor_facts.h"

#include <algorithm>
#include <map>
#include <sstream>
#include <system_error>

namespace main_llm {
namespace {

namespace fs = std::filesystem;

// Folders of systemd, the first wins.
constexpr const char* kUnitFolders[] = {"/etc/systemd/system", "/run/systemd/system",
                                        "/lib/systemd/system", "/usr/lib/systemd/system"};
constexpr const char* kServiceName = "llm-llm.service";

// The value of `key` in a stanza of dpkg's status file; "" where it has none.
std::string dpkg_value(std::string_view stanza, std::string_view key) {
  std::size_t begin = stanza.starts_with(key) ? 0 : stanza.find("\n" + std::string(key));
  if (begin == std::string_view::npos) return "";
  begin += key.size() + (begin == 0 ? 0 : 1);
  const std::size_t end = stanza.find('\n', begin);
  return std::string(stanza.substr(begin, end - begin));
}

// The drop-ins of the service, by name; of two with one name the one that wins.
std::map<std::string, fs::path> drop_ins(const DoctorView& view) {
  std::map<std::string, fs::path> files;
  for (const char* folder : kUnitFolders) {
    const fs::path machine_folder = fs::path(folder) / (kServiceName + std::string(".d"));
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(view.at(machine_folder), error)) {
      const fs::path name = entry.path().filename();
      if (name.extension() == ".conf") files.emplace(name.string(), machine_folder / name);
    }
  }
  return files;
}

// The program of an ExecStart value: its first word without systemd's prefixes and quotes.
std::string program_of(std::string value) {
  value.erase(0, value.find_first_not_of(" \t@-:+!|"));
  if (value.starts_with('"')) return value.substr(1, value.find('"', 1) - 1);
  return value.substr(0, value.find_first_of(" \t"));
}

// Applies one file of the service: an empty ExecStart takes earlier ones back.
void apply_exec_start(const std::string& text, std::string& program) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t equals = line.find('=');
    if (equals == std::string::npos) continue;
    std::string key = line.substr(0, equals);
    key.erase(key.find_last_not_of(" \t") + 1);
    if (key == "ExecStart") program = program_of(line.substr(equals + 1));
  }
}

}  // namespace

std::optional<DebianPackage> find_package(const DoctorView& view, std::string_view name) {
  const std::string status = view.text("/var/lib/dpkg/status");
  const std::string first_line = "Package: " + std::string(name) + "\n";
  std::size_t begin = status.starts_with(first_line) ? 0 : status.find("\n" + first_line);
  if (begin == std::string::npos) return std::nullopt;
  begin += begin == 0 ? 0 : 1;
  const std::string stanza = status.substr(begin, status.find("\n\n", begin) - begin);
  DebianPackage package;
  std::string error_flag;
  std::istringstream(dpkg_value(stanza, "Status: ")) >> package.wanted >> error_flag >>
      package.state;
  package.version = dpkg_value(stanza, "Version: ");
  return package;
}

LlmService read_llm_service(const DoctorView& view) {
  LlmService service;
  for (const char* folder : kUnitFolders) {
    const fs::path file = fs::path(folder) / kServiceName;
    std::error_code error;
    const fs::path unresolved = view.root / file.relative_path();
    service.is_masked = fs::read_symlink(unresolved, error) == "/dev/null";
    if (!service.is_masked && !view.has(file)) continue;
    service.file = file.string();
    break;
  }
  if (service.file.empty() || service.is_masked) return service;
  apply_exec_start(view.text(service.file), service.program);
  for (const auto& [name, file] : drop_ins(view)) {
    apply_exec_start(view.text(file), service.program);
  }
  return service;
}

std::string mib_text(std::uint64_t bytes) { return std::to_string(bytes >> 20U) + " MiB"; }

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text;
}

}  // namespace main_llm
