#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "main_llm/doctor.h"
#include "tests/main_llm/fakes.h"

namespace main_llm::fakes {

// A folder in place of a machine's root, gone with the test.
class DoctorRoot {
 public:
  DoctorRoot() {
    std::string name = (std::filesystem::temp_directory_path() / "doctor_XXXXXX").string();
    view.root = mkdtemp(name.data());
    view.socket_root = view.root / "tmp";
    view.models = {view.root / "opt/m5stack/data"};
    std::filesystem::create_directory(view.socket_root);
  }
  ~DoctorRoot() {
    std::error_code error;
    std::filesystem::remove_all(view.root, error);
  }
  DoctorRoot(const DoctorRoot&) = delete;
  DoctorRoot& operator=(const DoctorRoot&) = delete;

  // `path` is the machine's own.
  void write(const std::string& path, const std::string& text = "") {
    make_parent(path);
    std::ofstream(here(path)) << text;
  }
  void write_program(const std::string& path) {
    write(path,
          "\x7f"
          "ELF");
    std::filesystem::permissions(here(path), std::filesystem::perms::owner_all);
  }
  void link(const std::string& path, const std::string& target) {
    make_parent(path);
    std::filesystem::create_symlink(target, here(path));
  }
  std::filesystem::path here(const std::string& path) const { return view.root / path.substr(1); }

  DoctorView view;

 private:
  void make_parent(const std::string& path) {
    std::filesystem::create_directories(here(path).parent_path());
  }
};

// Tells of libraries and models what the test says.
class DoctorLoader : public FakeLoader {
 public:
  std::string inspect(const std::string& name, bool) override {
    const auto found = inspected.find(name);
    if (found == inspected.end()) {
      throw runner::Error(runner::ErrorCode::kBadModel, name + ": is broken");
    }
    return found->second;
  }
  NpuLibraries open_npu_libraries() const override { return libraries; }

  NpuLibraries libraries{
      {"libax_sys.so", "libax_engine.so"}, {}, false, false, "", "cannot be used"};
  std::map<std::string, std::string> inspected;
};

// The one of that id; a failure when there is none.
inline Finding finding(const Findings& findings, const std::string& id) {
  const auto found = std::find_if(findings.begin(), findings.end(),
                                  [&](const Finding& finding) { return finding.id == id; });
  if (found != findings.end()) return *found;
  ADD_FAILURE() << "no " << id << " in " << doctor_text(findings);
  return {};
}

// Checks state and a part of what was found and of the fix.
inline void expect_finding(const Findings& findings, const std::string& id, CheckState state,
                           const std::string& found, const std::string& fix = "") {
  const Finding actual = finding(findings, id);
  EXPECT_EQ(actual.state, state) << doctor_text(findings);
  EXPECT_NE(actual.found.find(found), std::string::npos) << actual.found;
  EXPECT_NE(actual.fix.find(fix), std::string::npos) << actual.fix;
  EXPECT_EQ(actual.fix.empty(), fix.empty()) << actual.fix;
}

}  // namespace main_llm::fakes
