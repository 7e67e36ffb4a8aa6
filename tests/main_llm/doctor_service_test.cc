#include <gtest/gtest.h>

#include "main_llm/doctor.h"
#include "main_llm/doctor_facts.h"
#include "tests/main_llm/doctor_root.h"

namespace main_llm {
namespace {

using fakes::DoctorRoot;
using fakes::expect_finding;

constexpr const char* kUnitFile = "/lib/systemd/system/llm-llm.service";
constexpr const char* kUnitProgram = "/opt/m5stack/bin/llm_llm-1.13";

// A machine with the service as it should be.
class DoctorService : public testing::Test {
 protected:
  DoctorService() {
    root_.write(kUnitFile, "[Unit]\nAfter=llm-sys.service\n[Service]\nExecStart = " +
                               std::string(kUnitProgram) + " --queue 3\nRestart=always\n");
    root_.write_program(kUnitProgram);
    root_.link("/etc/systemd/system/multi-user.target.wants/llm-llm.service", kUnitFile);
  }
  void expect(const std::string& id, CheckState state, const std::string& found,
              const std::string& fix = "") {
    expect_finding(check_service(root_.view), id, state, found, fix);
  }
  void answer_systemctl(std::optional<std::string> text) {
    root_.view.systemctl = [text](const std::vector<std::string>&) { return text; };
  }

  DoctorRoot root_;
};

TEST_F(DoctorService, IsInOrder) {
  answer_systemctl("ActiveState=active\nSubState=running\nNRestarts=0\n");
  expect("service.program", CheckState::kOk, kUnitProgram);
  expect("service.enabled", CheckState::kOk, "multi-user");
  expect("service.active", CheckState::kOk, "active (running)");
  EXPECT_TRUE(is_healthy(check_service(root_.view)));
}

TEST_F(DoctorService, NamesAProgramThatIsMissing) {
  std::filesystem::remove(root_.here(kUnitProgram));
  expect("service.program", CheckState::kFail, "is not there",
         "apt-get install --reinstall llm-llm");
  root_.write_program("/opt/m5stack/bin/llm_llm-1.14");
  expect("service.program", CheckState::kFail, "is not there",
         "ln -sfn llm_llm-1.14 /opt/m5stack/bin/llm_llm-1.13 && systemctl restart llm-llm");
}

TEST_F(DoctorService, NamesAProgramThatCannotBeExecuted) {
  std::filesystem::permissions(root_.here(kUnitProgram), std::filesystem::perms::owner_read);
  expect("service.program", CheckState::kFail, "not executable",
         "chmod 755 /opt/m5stack/bin/llm_llm-1.13");
}

TEST_F(DoctorService, FollowsLinksInsideTheRoot) {
  root_.link("/opt/m5stack/bin/llm_llm", kUnitProgram);
  root_.write("/etc/systemd/system/llm-llm.service.d/soft.conf",
              "[Service]\nExecStart=\nExecStart=-/opt/m5stack/bin/llm_llm\n");
  expect("service.program", CheckState::kOk,
         "starts /opt/m5stack/bin/llm_llm (/opt/m5stack/bin/llm_llm-1.13)");
  std::filesystem::remove(root_.here(kUnitProgram));
  expect("service.program", CheckState::kFail, "/opt/m5stack/bin/llm_llm, which is not there",
         "reinstall");
}

TEST_F(DoctorService, ReadsTheFileAndTheDropInsThatCount) {
  root_.write("/etc/systemd/system/llm-llm.service", "[Service]\nExecStart=\"/a program\" x\n");
  EXPECT_EQ(read_llm_service(root_.view).program, "/a program");
  root_.write("/lib/systemd/system/llm-llm.service.d/b.conf", "ExecStart=/b\n");
  root_.write("/etc/systemd/system/llm-llm.service.d/a.conf", "ExecStart=/a\n");
  EXPECT_EQ(read_llm_service(root_.view).program, "/b");
  root_.write("/etc/systemd/system/llm-llm.service.d/b.conf",
              "# ExecStart=/never\nExecStart=@/c c\n");
  root_.write("/etc/systemd/system/llm-llm.service.d/z.txt", "ExecStart=/never\n");
  EXPECT_EQ(read_llm_service(root_.view).program, "/c");
  root_.write("/etc/systemd/system/llm-llm.service.d/c.conf", "ExecStart=\n");
  expect("service.program", CheckState::kFail, "has no ExecStart", "reinstall");
}

TEST_F(DoctorService, SaysWhenItIsMaskedMissingOrNotEnabled) {
  std::filesystem::remove_all(root_.here("/etc"));
  expect("service.enabled", CheckState::kWarn, "at boot", "systemctl enable llm-llm");
  root_.link("/etc/systemd/system/llm-llm.service", "/dev/null");
  expect("service.program", CheckState::kFail, "masked", "systemctl unmask llm-llm");
  std::filesystem::remove_all(root_.here("/etc"));
  std::filesystem::remove(root_.here(kUnitFile));
  expect("service.program", CheckState::kFail, "no llm-llm.service", "reinstall");
  std::filesystem::remove_all(root_.here("/opt"));
  expect("service", CheckState::kSkip, "no StackFlow");
}

TEST_F(DoctorService, SaysWhatSystemdSays) {
  expect("service.active", CheckState::kSkip, "not asked");
  answer_systemctl(std::nullopt);
  expect("service.active", CheckState::kSkip, "does not answer");
  answer_systemctl("NRestarts=57\nActiveState=activating\nSubState=auto-restart\n");
  expect("service.active", CheckState::kFail,
         "activating (auto-restart), it ends again and again: restarts 57",
         "journalctl -u llm-llm");
  answer_systemctl("NRestarts=0\nActiveState=activating\nSubState=start\n");
  expect("service.active", CheckState::kWarn, "not ready yet", "journalctl -u llm-llm");
  answer_systemctl("NRestarts=1\nActiveState=active\nSubState=running\n");
  expect("service.active", CheckState::kWarn, "restarts by systemd: 1", "journalctl");
  answer_systemctl("NRestarts=0\nActiveState=inactive\nSubState=dead\n");
  expect("service.active", CheckState::kFail, "inactive (dead)", "systemctl start llm-llm");
}

TEST_F(DoctorService, TellsPackagesApart) {
  const auto install = [&](const std::string& status, const std::string& version) {
    root_.write("/var/lib/dpkg/status",
                "Package: lib-llm\nStatus: install ok installed\n"
                "Version: 1.8-m5stack1\n\nPackage: llm-llm\nStatus: " +
                    status + "\nArchitecture: arm64\nVersion: " + version +
                    "\n\nPackage: llm-llm-more\n"
                    "Status: hold ok installed\nVersion: 9\n");
  };
  expect("package", CheckState::kOk, "not installed as a package");
  install("install ok installed", "1.12-m5stack1");
  expect("package", CheckState::kWarn,
         "llm-llm 1.12-m5stack1, lib-llm 1.8-m5stack1; llm-llm is not held",
         "apt-mark hold llm-llm");
  install("hold ok installed", "1.12-m5stack1");
  expect("package", CheckState::kOk, "llm-llm is held");
  install("install ok installed", "1:1.13.0-soft1");
  expect("package", CheckState::kOk, "llm-llm 1:1.13.0-soft1");
  install("install ok half-configured", "1:1.13.0-soft1");
  expect("package", CheckState::kFail, "half-configured", "dpkg --configure -a");
  install("deinstall ok config-files", "1.12-m5stack1");
  expect("package", CheckState::kOk, "not installed as a package");
}

}  // namespace
}  // namespace main_llm
