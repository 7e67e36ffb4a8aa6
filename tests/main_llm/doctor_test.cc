#include "main_llm/doctor.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <thread>

#include "protocol/zmq_rpc.h"
#include "tests/main_llm/doctor_root.h"

namespace main_llm {
namespace {

using fakes::DoctorLoader;
using fakes::DoctorRoot;
using fakes::expect_finding;

constexpr const char* kLlmSys = "/opt/m5stack/bin/llm_sys";

std::string cmm_info(int total_mib, int free_mib) {
  const auto kib = [](int mib) { return std::to_string(mib * 1024) + "KB"; };
  return " total size=" + kib(total_mib) + "(0MB),used=" + kib(total_mib - free_mib) +
         "(0MB + 0KB),remain=" + kib(free_mib) + "(0MB + 0KB),partition_number=1\n";
}

// --- what findings look like ---

TEST(Doctor, WritesTextAndJson) {
  const Findings findings = {{"a", CheckState::kOk, "fine", ""},
                             {"longer", CheckState::kFail, "say \"no\"", "do this"},
                             {"b", CheckState::kWarn, std::string("caf\xe9"), "that"}};
  EXPECT_EQ(doctor_text(findings),
            "ok    a       fine\n"
            "FAIL  longer  say \"no\"\n      fix: do this\n"
            "warn  b       caf\xe9\n      fix: that\n"
            "not healthy: 1 fault, 1 warning\n");
  EXPECT_EQ(doctor_json(findings),
            "{\"healthy\":false,\"checks\":[{\"id\":\"a\",\"state\":\"ok\",\"found\":\"fine\","
            "\"fix\":\"\"},{\"id\":\"longer\",\"state\":\"fail\",\"found\":\"say \\\"no\\\"\","
            "\"fix\":\"do this\"},{\"id\":\"b\",\"state\":\"warn\",\"found\":\"caf?\",\"fix\":"
            "\"that\"}]}");
  EXPECT_EQ(doctor_text({{"a", CheckState::kSkip, "none", ""}}), "skip  a  none\nhealthy\n");
}

TEST(Doctor, FindsAMachineWithoutModuleAndFaultsHealthy) {
  DoctorRoot root;
  DoctorLoader loader;
  root.write("/opt/m5stack/data/m/config.json", "{}");
  loader.inspected["m"] = R"({"engine":"cpu","weights_bytes":1048576})";
  const Findings findings = examine(root.view, loader);
  EXPECT_TRUE(is_healthy(findings)) << doctor_text(findings);
  expect_finding(findings, "npu", CheckState::kSkip, "no AXERA NPU");
  expect_finding(findings, "llm-sys", CheckState::kSkip, "no StackFlow");
  expect_finding(findings, "model.m", CheckState::kOk, "engine cpu");
}

// --- the machine ---

TEST(DoctorMachine, TellsMemoryAndDisk) {
  DoctorRoot root;
  expect_finding(check_machine(root.view), "memory", CheckState::kSkip, "no /proc/meminfo");
  root.write("/proc/meminfo", "MemTotal:       1024000 kB\nMemAvailable:    512000 kB\n");
  expect_finding(check_machine(root.view), "memory", CheckState::kOk, "500 MiB of 1000 MiB");
  root.write("/proc/meminfo", "MemTotal:       1024000 kB\nMemAvailable:     51200 kB\n");
  expect_finding(check_machine(root.view), "memory", CheckState::kWarn, "50 MiB", "ps ");
  EXPECT_EQ(fakes::finding(check_machine(root.view), "disk").state, CheckState::kOk);
}

TEST(DoctorMachine, NamesASocketFolderThatCannotBeUsed) {
  DoctorRoot root;
  expect_finding(check_machine(root.view), "tmp", CheckState::kOk, "/tmp can be written");
  expect_finding(check_machine(root.view), "tmp.llm", CheckState::kOk, "when it is needed");
  root.write("/tmp/llm");
  expect_finding(check_machine(root.view), "tmp.llm", CheckState::kFail, "/tmp/llm is not a folder",
                 "rm /tmp/llm");
  std::filesystem::remove_all(root.view.socket_root);
  expect_finding(check_machine(root.view), "tmp", CheckState::kFail, "/tmp is not there",
                 "mkdir -m 1777 /tmp");
}

// --- the NPU ---

class DoctorNpu : public testing::Test {
 protected:
  DoctorNpu() {
    for (const char* node : {"ax_sys", "ax_cmm", "ax_pool", "ax_log", "ax_os_mem", "npu"}) {
      root_.write(std::string("/dev/") + node);
    }
    root_.write("/proc/ax_proc/mem_cmm_info", cmm_info(3072, 2900));
    loader_.libraries.folders = {root_.here("/soc/lib"), root_.here("/opt/lib")};
  }
  void expect(const std::string& id, CheckState state, const std::string& found,
              const std::string& fix = "") {
    expect_finding(check_npu(root_.view, loader_), id, state, found, fix);
  }
  void put_libraries(const std::string& sys_folder, const std::string& engine_folder) {
    root_.write(sys_folder + "/libax_sys.so");
    root_.write(engine_folder + "/libax_engine.so");
  }

  DoctorRoot root_;
  DoctorLoader loader_;
};

TEST_F(DoctorNpu, IsInOrderInTheLoadersPath) {
  loader_.libraries.are_open = true;
  expect("npu.libax_sys.so", CheckState::kOk, "in the loader's path");
  expect("npu.libraries", CheckState::kOk, "by the loader's path");
  expect("npu.devices", CheckState::kOk, "all there");
  expect("npu.memory", CheckState::kOk, "2900 MiB of 3072 MiB CMM free");
}

TEST_F(DoctorNpu, WarnsOfAFolderThatOthersDoNotFind) {
  put_libraries("/soc/lib", "/soc/lib");
  loader_.libraries.are_open = true;
  loader_.libraries.folder = root_.here("/soc/lib").string();
  expect("npu.libax_sys.so", CheckState::kOk, "in /soc/lib");
  expect("npu.libraries", CheckState::kWarn, "opened from /soc/lib",
         "echo /soc/lib > /etc/ld.so.conf.d/llm_llm.conf && ldconfig");
  const char cache[] = "head\0/soc/lib/libax_sys.so\0/soc/lib/libax_engine.so";
  root_.write("/etc/ld.so.cache", std::string(cache, sizeof cache));
  expect("npu.libraries", CheckState::kOk, "opened from /soc/lib");
}

TEST_F(DoctorNpu, NamesLibrariesThatAreMissing) {
  root_.write("/soc/lib/libax_sys.so");
  expect("npu.libax_sys.so", CheckState::kOk, "in /soc/lib");
  expect("npu.libax_engine.so", CheckState::kFail,
         "not found by the loader, nor in /soc/lib, /opt/lib", "copy it to /soc/lib");
  loader_.libraries.folder_is_given = true;
  loader_.libraries.folders = {root_.here("/mine")};
  expect("npu.libax_sys.so", CheckState::kFail, "not in /mine (--ax-lib-dir)",
         "leave out --ax-lib-dir");
}

TEST_F(DoctorNpu, NamesTheFoldersOfLibrariesThatAreApart) {
  put_libraries("/opt/lib", "/usr/local/m5stack/lib/ax-lib");
  expect("npu.libraries", CheckState::kFail, "no folder holds all",
         "printf '%s\\n' /usr/local/m5stack/lib/ax-lib /opt/lib > /etc/ld.so.conf.d/llm_llm.conf "
         "&& ldconfig");
}

TEST_F(DoctorNpu, NamesAFolderThatNobodyLooksIn) {
  put_libraries("/usr/local/m5stack/lib/gcc-10.3", "/usr/local/m5stack/lib/gcc-10.3");
  expect("npu.libraries", CheckState::kFail, "in /usr/local/m5stack/lib/gcc-10.3",
         "echo /usr/local/m5stack/lib/gcc-10.3 > /etc/ld.so.conf.d/llm_llm.conf");
}

TEST_F(DoctorNpu, SaysWhyLibrariesCannotBeUsed) {
  put_libraries("/opt/lib", "/opt/lib");
  expect("npu.libraries", CheckState::kFail, "cannot be used", "copy all three into /opt/lib");
}

TEST_F(DoctorNpu, FindsWhatTheLoaderFinds) {
  put_libraries("/vendor", "/vendor");
  expect("npu.libax_sys.so", CheckState::kFail, "not found by the loader", "copy it to /opt/lib");
  const char cache[] = "/vendor/libax_sys.so\0/vendor/libax_engine.so";
  root_.write("/etc/ld.so.cache", std::string(cache, sizeof cache));
  expect("npu.libax_sys.so", CheckState::kOk, "in /vendor");
  expect("npu.libax_engine.so", CheckState::kOk, "in /vendor");
  expect("npu.libraries", CheckState::kFail, "cannot be used", "copy all three into /vendor");
}

TEST_F(DoctorNpu, NamesDriversThatAreMissing) {
  std::filesystem::remove(root_.here("/dev/npu"));
  expect("npu.devices", CheckState::kFail, "/dev/npu missing", "reboot");
  root_.write("/soc/scripts/auto_load_all_drv.sh");
  expect("npu.devices", CheckState::kFail, "not loaded", "sh /soc/scripts/auto_load_all_drv.sh");
  std::filesystem::remove_all(root_.here("/proc"));
  expect("npu.memory", CheckState::kFail, "mem_cmm_info", "dmesg");
}

TEST_F(DoctorNpu, IsNotLookedForBesideACard) {
  DoctorRoot host;
  host.write(kLlmSys);
  expect_finding(check_npu(host.view, loader_), "npu.devices", CheckState::kFail, "/dev/ax_sys",
                 "reboot");
  host.write("/dev/axcl_host");
  expect_finding(check_npu(host.view, loader_), "npu", CheckState::kSkip, "card");
}

// --- sockets ---

class DoctorSockets : public testing::Test {
 protected:
  DoctorSockets() { root_.write(kLlmSys); }
  void expect(const std::string& id, CheckState state, const std::string& found,
              const std::string& fix = "") {
    expect_finding(check_sockets(root_.view), id, state, found, fix);
  }
  protocol::RpcServer serve(const std::string& path) {
    return {root_.here(path), {"setup"}, [](const std::string&, const protocol::RpcRequest&) {}};
  }
  // A socket that a program listens at, who never answers; closed, it is left behind.
  int listen_at(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, root_.here(path).c_str(), sizeof address.sun_path - 1);
    const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
    EXPECT_EQ(bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(socket, 4), 0);
    return socket;
  }
  // What the service starts, and what runs: this very process.
  void install(const std::string& program, const std::string& running) {
    root_.write("/lib/systemd/system/llm-llm.service", "ExecStart=" + program + "\n");
    root_.write_program(program);
    root_.link("/proc/" + std::to_string(getpid()) + "/exe", running);
  }

  DoctorRoot root_;
};

TEST_F(DoctorSockets, SaysWhoAnswers) {
  const auto sys = serve("/tmp/rpc.sys");
  const auto unit = serve("/tmp/rpc.llm");
  const std::string process = "(process " + std::to_string(getpid()) + ")";
  expect("llm-sys", CheckState::kOk, "answers at /tmp/rpc.sys " + process);
  expect("llm-unit", CheckState::kOk, "answers at /tmp/rpc.llm " + process);
}

TEST_F(DoctorSockets, SaysThatNobodyIsThere) {
  expect("llm-sys", CheckState::kFail, "/tmp/rpc.sys is not there", "systemctl restart llm-sys");
  expect("llm-unit", CheckState::kFail, "/tmp/rpc.llm is not there", "systemctl restart llm-llm");
}

TEST_F(DoctorSockets, KnowsASocketThatWasLeftBehind) {
  close(listen_at("/tmp/rpc.sys"));
  expect("llm-sys", CheckState::kFail, "left behind", "systemctl restart llm-sys");
  std::filesystem::remove_all(root_.here("/opt"));
  expect("llm-sys", CheckState::kSkip, "left behind");
}

TEST_F(DoctorSockets, KnowsAUnitThatHangs) {
  root_.view.answer_deadline = std::chrono::milliseconds(1);
  const int socket = listen_at("/tmp/rpc.llm");
  expect("llm-unit", CheckState::kFail, "does not answer", "systemctl restart llm-llm");
  close(socket);
}

TEST_F(DoctorSockets, NamesAUnitThatIsNotTheServices) {
  const auto unit = serve("/tmp/rpc.llm");
  install("/opt/m5stack/bin/llm_llm-1.13", "/home/me/llm_llm");
  expect("llm-unit", CheckState::kFail,
         "another unit answers, which keeps llm-llm from starting: "
         "/home/me/llm_llm",
         "kill " + std::to_string(getpid()));
}

TEST_F(DoctorSockets, KnowsAProgramThatWasReplaced) {
  const auto unit = serve("/tmp/rpc.llm");
  install("/opt/m5stack/bin/llm_llm-1.13", "/opt/m5stack/bin/llm_llm-1.13 (deleted)");
  expect("llm-unit", CheckState::kWarn, "replaced", "systemctl restart llm-llm");
}

TEST_F(DoctorSockets, LooksForAListenerOnPort10001) {
  const std::string head = "  sl  local_address rem_address   st\n";
  root_.write("/proc/net/tcp", head +
                                   "   0: 0100007F:2711 0100007F:9999 01 0\n"
                                   "   1: 00000000:2712 00000000:0000 0A 0\n");
  expect("port-10001", CheckState::kFail, "cannot connect", "systemctl restart llm-sys");
  root_.write("/proc/net/tcp6", head +
                                    "   0: 00000000000000000000000000000000:2711 "
                                    "00000000000000000000000000000000:0000 0A 0\n");
  expect("port-10001", CheckState::kOk, "listens");
}

// --- models ---

class DoctorModels : public testing::Test {
 protected:
  DoctorModels() {
    root_.write("/proc/meminfo", "MemTotal: 2048000 kB\nMemAvailable: 1024000 kB\n");
    root_.write("/proc/ax_proc/mem_cmm_info", cmm_info(3000, 100));
  }
  void describe(const std::string& name, const std::string& type) {
    root_.write("/opt/m5stack/data/models/mode_" + name + ".json",
                R"({"mode":"x","type":")" + type + R"(","mode_param":{}})");
  }
  void add(const std::string& name, const std::string& facts) {
    describe(name, "llm");
    std::filesystem::create_directories(root_.here("/opt/m5stack/data/" + name));
    if (!facts.empty()) loader_.inspected[name] = facts;
  }
  void expect(const std::string& id, CheckState state, const std::string& found,
              const std::string& fix = "") {
    expect_finding(check_models(root_.view, loader_), id, state, found, fix);
  }
  static std::string ax(int mib, bool on_demand = false) {
    return R"({"engine":"ax","weights_bytes":)" + std::to_string(mib << 20) +
           R"(,"layers_on_demand":)" + (on_demand ? "true}" : "false}");
  }

  DoctorRoot root_;
  DoctorLoader loader_;
};

TEST_F(DoctorModels, SaysWhetherTheyFit) {
  add("fits", ax(90));
  add("later", ax(200));
  add("never", ax(1999));
  add("slow", ax(1999, true));
  add("cpu", R"({"engine":"cpu","weights_bytes":1048576000})");
  root_.write("/proc/ax_proc/mem_cmm_info", cmm_info(1000, 100));
  expect("model.fits", CheckState::kOk, "needs 90 MiB of 100 MiB free NPU memory");
  expect("model.later", CheckState::kWarn, "does not fit now", "stop units");
  expect("model.never", CheckState::kFail, "(1000 MiB in all): it never fits", "smaller");
  expect("model.slow", CheckState::kOk, "one by one");
  expect("model.cpu", CheckState::kOk, "1000 MiB of 1000 MiB free memory");
}

TEST_F(DoctorModels, AreNotWeighedWithoutAnNpu) {
  add("m", ax(90));
  std::filesystem::remove_all(root_.here("/proc/ax_proc"));
  expect("model.m", CheckState::kSkip, "no NPU here to run it");
}

TEST_F(DoctorModels, NamesWhatInspectingThemSays) {
  add("m", "");
  expect("model.m", CheckState::kFail, "m: is broken", "copy /opt/m5stack/data/m again");
  root_.write("/var/lib/dpkg/status",
              "Package: llm-model-m\nStatus: install ok installed\nVersion: 0.4\n");
  expect("model.m", CheckState::kFail, "m: is broken", "apt-get install --reinstall llm-model-m");
}

TEST_F(DoctorModels, NamesGitLfsPointers) {
  add("m", ax(1));
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n";
  root_.write("/opt/m5stack/data/m/l0.axmodel", pointer);
  root_.write("/opt/m5stack/data/m/tokenizer/tokenizer.json", pointer);
  root_.write("/opt/m5stack/data/m/l1.axmodel", pointer + std::string(2000, ' '));
  expect("model.m", CheckState::kFail, "/opt/m5stack/data/m: l0.axmodel, tokenizer/tokenizer.json",
         "git lfs pull");
}

TEST_F(DoctorModels, NamesHalfOfOnes) {
  describe("gone", "llm");
  expect("model.gone", CheckState::kWarn, "there is no folder /opt/m5stack/data/gone",
         "remove the file");
  root_.write("/opt/m5stack/data/graphs/l0.axmodel");
  expect("model.graphs", CheckState::kFail, "no mode_graphs.json", "copy /opt/m5stack/data/graphs");
  expect("models", CheckState::kWarn, "no language model in /opt/m5stack/data", "--models");
}

TEST_F(DoctorModels, LeavesThoseOfOtherUnitsAlone) {
  describe("yolo11n", "cv");
  std::filesystem::create_directories(root_.here("/opt/m5stack/data/yolo11n"));
  describe("whisper", "asr");
  add("m", ax(1));
  const Findings findings = check_models(root_.view, loader_);
  EXPECT_EQ(findings.size(), 2U) << doctor_text(findings);
  expect("models.others", CheckState::kSkip, "of other units: yolo11n");
}

}  // namespace
}  // namespace main_llm
