#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "main_llm/model_loader.h"

// What `llm_llm doctor` looks at: each check says what it found and, where something is wrong,
// what to do about it. Nothing is changed.
namespace main_llm {

enum class CheckState {
  kOk,
  kWarn,  // works, and will trouble someone
  kFail,  // does not work: the machine is not healthy
  kSkip,  // does not apply here, or cannot be told
};

struct Finding {
  std::string id;  // "npu.devices", "model.NAME": stable, for programs
  CheckState state = CheckState::kOk;
  std::string found;
  std::string fix;  // commands or instructions; "" where there is nothing to do
};

using Findings = std::vector<Finding>;

// The machine that is looked at. Paths are the machine's own ("/dev/npu"), wherever its root is.
struct DoctorView {
  std::filesystem::path root = "/";           // absolute
  std::filesystem::path socket_root;          // folder of rpc.sys and rpc.llm
  std::vector<std::filesystem::path> models;  // folders of model folders, as ModelOptions::roots
  // What systemctl prints, nullopt when it fails; null where it would speak of another machine.
  std::function<std::optional<std::string>(const std::vector<std::string>&)> systemctl;
  std::chrono::milliseconds answer_deadline{3000};  // as long as llm-sys waits for a unit

  // Where `path` is from here. A link is followed inside the root.
  std::filesystem::path at(const std::filesystem::path& path) const;
  bool has(const std::filesystem::path& path) const;
  // "" for a file that cannot be read.
  std::string text(const std::filesystem::path& path) const;
  // `here` as the machine's own path.
  std::string shown(const std::filesystem::path& here) const;

  // StackFlow's units are installed: llm-sys, service and package are to be there.
  bool has_stackflow() const;
  // An NPU is to be there: its driver is, or StackFlow without a PCIe card.
  bool has_npu() const;
};

Findings check_machine(const DoctorView& view);  // program, processor, memory, disk, /tmp
Findings check_npu(const DoctorView& view, ModelLoader& loader);  // libraries, devices, memory
Findings check_sockets(const DoctorView& view);  // llm-sys, the llm unit, port 10001
Findings check_service(const DoctorView& view);  // package, what systemd starts
Findings check_models(const DoctorView& view, ModelLoader& loader);

// All of them.
Findings examine(const DoctorView& view, ModelLoader& loader);

bool is_healthy(const Findings& findings);

// {"healthy":…,"checks":[{"id","state","found","fix"},…]} on one line.
std::string doctor_json(const Findings& findings);

// A line for each, its fix on one below, and a summary.
std::string doctor_text(const Findings& findings);

}  // namespace main_llm
