#include "main_llm/doctor.h"

#include <simdjson.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>
#include <system_error>
#include <utility>

#include "main_llm/doctor_facts.h"
#include "protocol/json_writer.h"

namespace main_llm {
namespace {

namespace fs = std::filesystem;

const char* state_name(CheckState state) {
  switch (state) {
    case CheckState::kOk:
      return "ok";
    case CheckState::kWarn:
      return "warn";
    case CheckState::kFail:
      return "fail";
    case CheckState::kSkip:
      break;
  }
  return "skip";
}

// Names of files can be any bytes; JSON cannot.
std::string quoted_text(std::string text) {
  if (!simdjson::validate_utf8(text)) {
    std::replace_if(
        text.begin(), text.end(), [](unsigned char c) { return c >= 0x80; }, '?');
  }
  return protocol::json_string(text);
}

std::string counted(std::ptrdiff_t count, const std::string& thing) {
  return std::to_string(count) + " " + thing + (count == 1 ? "" : "s");
}

std::ptrdiff_t count_of(const Findings& findings, CheckState state) {
  return std::count_if(findings.begin(), findings.end(),
                       [&](const Finding& finding) { return finding.state == state; });
}

}  // namespace

fs::path DoctorView::at(const fs::path& path) const {
  constexpr int kMostLinks = 40;  // as the kernel
  fs::path here = root / path.relative_path();
  std::error_code error;
  for (int links = 0; links < kMostLinks && fs::is_symlink(here, error); ++links) {
    const fs::path target = fs::read_symlink(here, error);
    here = target.is_absolute() ? root / target.relative_path() : here.parent_path() / target;
  }
  return here;
}

bool DoctorView::has(const fs::path& path) const {
  std::error_code error;
  return fs::exists(at(path), error);
}

std::string DoctorView::text(const fs::path& path) const {
  std::ostringstream text;
  text << std::ifstream(at(path)).rdbuf();
  return text.str();
}

std::string DoctorView::shown(const fs::path& here) const {
  const fs::path inside = here.lexically_normal().lexically_relative(root.lexically_normal());
  const bool is_below = !inside.empty() && *inside.begin() != "..";
  return is_below ? (fs::path("/") / inside).lexically_normal().string() : here.string();
}

bool DoctorView::has_stackflow() const {
  return has("/opt/m5stack/bin") || has("/lib/systemd/system/llm-sys.service");
}

bool DoctorView::has_npu() const {
  const bool has_driver =
      has("/proc/ax_proc") || std::any_of(std::begin(kNpuNodes), std::end(kNpuNodes),
                                          [&](const char* node) { return has(node); });
  return has_driver || (has_stackflow() && !has("/dev/axcl_host"));
}

Findings examine(const DoctorView& view, ModelLoader& loader) {
  Findings all;
  for (Findings& findings :
       std::vector<Findings>{check_machine(view), check_npu(view, loader), check_sockets(view),
                             check_service(view), check_models(view, loader)}) {
    std::move(findings.begin(), findings.end(), std::back_inserter(all));
  }
  return all;
}

bool is_healthy(const Findings& findings) { return count_of(findings, CheckState::kFail) == 0; }

std::string doctor_json(const Findings& findings) {
  std::string checks;
  for (const Finding& finding : findings) {
    checks += (checks.empty() ? "{\"id\":" : ",{\"id\":") + quoted_text(finding.id) +
              ",\"state\":\"" + state_name(finding.state) +
              "\",\"found\":" + quoted_text(finding.found) +
              ",\"fix\":" + quoted_text(finding.fix) + "}";
  }
  return std::string("{\"healthy\":") + (is_healthy(findings) ? "true" : "false") +
         ",\"checks\":[" + checks + "]}";
}

std::string doctor_text(const Findings& findings) {
  std::size_t width = 0;
  for (const Finding& finding : findings) width = std::max(width, finding.id.size());
  std::string text;
  for (const Finding& finding : findings) {
    const std::string state =
        finding.state == CheckState::kFail ? "FAIL" : state_name(finding.state);
    const std::string id = finding.id + std::string(width - finding.id.size(), ' ');
    text += state + std::string(6 - state.size(), ' ') + id + "  " + finding.found + "\n";
    if (!finding.fix.empty()) text += "      fix: " + finding.fix + "\n";
  }
  const auto faults = count_of(findings, CheckState::kFail);
  const auto warnings = count_of(findings, CheckState::kWarn);
  text += (faults == 0 ? "healthy" : "not healthy: " + counted(faults, "fault"));
  return text + (warnings == 0 ? "" : ", " + counted(warnings, "warning")) + "\n";
}

}  // namespace main_llm
