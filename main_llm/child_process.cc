#include "main_llm/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "runner/error.h"
#include "runner/text/utf8_stream.h"

namespace main_llm {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t kKeptOutput = 1000;  // bytes: the end of a Python traceback

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> environment_with(const std::vector<std::string>& settings) {
  std::vector<std::string> result = settings;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view own(*entry);
    const std::string_view key = own.substr(0, own.find('=') + 1);
    const bool is_set = std::any_of(settings.begin(), settings.end(), [key](const auto& setting) {
      return setting.starts_with(key);
    });
    if (!is_set) result.emplace_back(own);
  }
  return result;
}

// Of a child between fork and exec, where only what is safe in a signal handler may be called.
// The sockets of this program must not be left open in it: nobody would see them close.
void close_descriptors_from(unsigned first, rlim_t most) {
#ifdef SYS_close_range
  if (syscall(SYS_close_range, first, ~0U, 0U) == 0) return;
#endif
  for (rlim_t fd = first; fd < most; ++fd) close(static_cast<int>(fd));  // before Linux 5.9
}

struct ChildStart {
  char** arguments;
  char** environment;
  int input;
  int output;
  int errors;
  int report;  // errno of an exec that failed; closed by one that did not
  pid_t parent;
  rlim_t most_descriptors;
};

[[noreturn]] void become_program(const ChildStart& start) {
  setpgid(0, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  // Sent when the thread that forked ends; it does not before the child does.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != start.parent) _exit(127);
  // First out of the way of 0 to 3.
  const int input = fcntl(start.input, F_DUPFD, 10);
  const int output = fcntl(start.output, F_DUPFD, 10);
  const int errors = fcntl(start.errors, F_DUPFD, 10);
  const int report = fcntl(start.report, F_DUPFD, 10);
  dup2(input, 0);
  dup2(output, 1);
  dup2(errors, 2);
  dup2(report, 3);
  fcntl(3, F_SETFD, FD_CLOEXEC);
  close_descriptors_from(4, start.most_descriptors);
  execve(start.arguments[0], start.arguments, start.environment);
  const int error = errno;
  [[maybe_unused]] const ssize_t written = write(3, &error, sizeof error);
  _exit(127);
}

// A pipe whose ends close themselves.
struct Pipe {
  Pipe() {
    if (pipe2(ends, O_CLOEXEC) != 0) ends[0] = ends[1] = -1;
  }
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void close_end(int end) {
    if (ends[end] >= 0) close(ends[end]);
    ends[end] = -1;
  }
  int ends[2];
};

}  // namespace

ChildProcess::ChildProcess(std::vector<std::string> command,
                           const std::vector<std::string>& environment) {
  const std::string program = command.front();
  thread_ = std::thread([this, command = std::move(command),
                         settings = environment_with(environment)] { start(command, settings); });
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return start_error_ >= 0; });
  if (start_error_ == 0) return;
  const std::string why = std::strerror(start_error_);
  lock.unlock();
  thread_.join();
  throw runner::Error(runner::ErrorCode::kEngineFailed, program + " cannot be started: " + why);
}

ChildProcess::~ChildProcess() {
  if (!wait_end(milliseconds(0))) {
    kill(-pid_, SIGTERM);
    wait_end(kGrace);
  }
  kill(-pid_, SIGKILL);  // what it started too, which may hold its outputs open
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  {
    const std::lock_guard lock(mutex_);
    may_end_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

// In the thread, as long as the child lives: PR_SET_PDEATHSIG is about the thread that forks.
void ChildProcess::start(const std::vector<std::string>& command,
                         const std::vector<std::string>& environment) {
  Pipe output;
  Pipe errors;
  Pipe report;
  const auto arguments = pointers_to(command);
  const auto settings = pointers_to(environment);
  const int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
  rlimit descriptors{};
  getrlimit(RLIMIT_NOFILE, &descriptors);
  const ChildStart child_start{const_cast<char**>(arguments.data()),
                               const_cast<char**>(settings.data()),
                               input,
                               output.ends[1],
                               errors.ends[1],
                               report.ends[1],
                               getpid(),
                               descriptors.rlim_cur};
  const pid_t child = input < 0 || report.ends[1] < 0 ? -1 : fork();
  if (child == 0) become_program(child_start);
  int error = child < 0 ? errno : 0;
  if (input >= 0) close(input);
  for (Pipe* pipe : {&output, &errors, &report}) pipe->close_end(1);
  if (child > 0 && read(report.ends[0], &error, sizeof error) > 0) {
    waitpid(child, nullptr, 0);
  }
  {
    const std::lock_guard lock(mutex_);
    pid_ = child;
    start_error_ = error;
  }
  changed_.notify_all();
  if (error != 0) return;
  read_output(output.ends[0], errors.ends[0]);
  std::unique_lock lock(mutex_);
  is_silent_ = true;
  changed_.notify_all();
  changed_.wait(lock, [this] { return may_end_; });
}

// Until the child has closed both, or is gone and what it left behind holds them open.
void ChildProcess::read_output(int output, int errors) {
  pollfd open[2] = {{output, POLLIN, 0}, {errors, POLLIN, 0}};
  char piece[4096];
  while (open[0].fd >= 0 || open[1].fd >= 0) {
    if (poll(open, 2, -1) < 0) {
      if (errno != EINTR) return;
      continue;
    }
    for (pollfd& side : open) {
      if (side.fd < 0 || side.revents == 0) continue;
      const ssize_t bytes = read(side.fd, piece, sizeof piece);
      if (bytes > 0) keep(piece, static_cast<std::size_t>(bytes), &side == &open[0]);
      if (bytes == 0 || (bytes < 0 && errno != EINTR)) side.fd = -1;
    }
  }
}

void ChildProcess::keep(const char* text, std::size_t bytes, bool is_stdout) {
  const std::lock_guard lock(mutex_);
  if (is_stdout && !keeps_stdout_) return;
  last_output_.append(text, bytes);
  if (last_output_.size() > kKeptOutput) {
    last_output_.erase(0, last_output_.size() - kKeptOutput);
  }
}

bool ChildProcess::wait_end(milliseconds most) {
  // Not reaped before the destructor, so that its number stays its own.
  const auto has_ended = [this] {
    ending_ = {};
    return waitid(P_PID, static_cast<id_t>(pid_), &ending_, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           ending_.si_pid == pid_;
  };
  if (has_ended()) return true;
  const auto end = Clock::now() + most;
  std::unique_lock lock(mutex_);
  while (Clock::now() < end) {
    // An ending child closes its outputs a moment before it can be waited for; what it started may
    // hold them open.
    const milliseconds look_again(is_silent_ ? 1 : 50);
    const auto until = std::min(end, Clock::now() + look_again);
    if (is_silent_) {
      changed_.wait_until(lock, until);
    } else {
      changed_.wait_until(lock, until, [this] { return is_silent_; });
    }
    if (has_ended()) return true;
  }
  return false;
}

void ChildProcess::forget_stdout() {
  const std::lock_guard lock(mutex_);
  keeps_stdout_ = false;
  last_output_.clear();
}

std::string ChildProcess::story() {
  std::unique_lock lock(mutex_);
  // What it wrote last may still be on the way.
  changed_.wait_for(lock, kGrace, [this] { return is_silent_; });
  const std::string how = (ending_.si_code == CLD_EXITED ? "exit status " : "killed by signal ") +
                          std::to_string(ending_.si_status);
  std::string text = runner::to_valid_utf8(last_output_);
  text.erase(text.find_last_not_of(" \r\n") + 1);
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < ' '; }, ' ');
  return how + (text.empty() ? ", without a word" : "; the end of its output: " + text);
}

}  // namespace main_llm
