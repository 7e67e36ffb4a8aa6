#pragma once

#include <signal.h>
#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace main_llm {

// A program that runs beside this one, in a process group of its own, and ends with this object;
// the kernel kills it when this process is killed. It gets no stdin and none of our descriptors.
//
// Threads: one owner; a thread inside starts it and reads what it writes, so that it never waits
// for a reader.
class ChildProcess {
 public:
  // Starts `command` (the first is the program's path) with `environment` ("KEY=VALUE") over this
  // process's own. Throws runner::Error(kEngineFailed) when it cannot be started.
  ChildProcess(std::vector<std::string> command, const std::vector<std::string>& environment);

  // SIGTERM, and SIGKILL to the whole group where that has not ended it within kGrace.
  ~ChildProcess();
  static constexpr std::chrono::seconds kGrace{2};

  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Waits until it has ended, at most this long; whether it has.
  bool wait_end(std::chrono::milliseconds most);

  // From now on what it writes to stdout is thrown away, not kept for story().
  void forget_stdout();

  // How it ended, and the end of what it wrote: "exit status 1 after: …". For messages; one line
  // of valid UTF-8. REQUIRES: wait_end() was true.
  std::string story();

 private:
  void start(const std::vector<std::string>& command, const std::vector<std::string>& environment);
  void read_output(int output, int errors);
  void keep(const char* text, std::size_t bytes, bool is_stdout);

  siginfo_t ending_{};  // of wait_end()

  std::mutex mutex_;
  std::condition_variable changed_;
  pid_t pid_ = 0;
  int start_error_ = -1;    // errno; -1 before the start
  bool is_silent_ = false;  // both its outputs are closed
  bool may_end_ = false;    // the thread
  bool keeps_stdout_ = true;
  std::string last_output_;
  std::thread thread_;
};

}  // namespace main_llm
