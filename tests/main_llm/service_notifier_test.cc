#include "main_llm/service_notifier.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace main_llm {
namespace {

using std::chrono::milliseconds;

// A socket as systemd offers one; a name with @ is an abstract one.
class NotifySocket {
 public:
  explicit NotifySocket(const std::string& name)
      : descriptor_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path, sizeof address.sun_path - 1);
    if (name[0] == '@') address.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    EXPECT_EQ(::bind(descriptor_, reinterpret_cast<const sockaddr*>(&address), length), 0);
    EXPECT_EQ(::connect(sender_, reinterpret_cast<const sockaddr*>(&address), length), 0);
  }
  ~NotifySocket() {
    ::close(sender_);
    ::close(descriptor_);
  }
  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;

  // The next datagram; empty when none waits.
  std::string take() {
    char buffer[256];
    const ssize_t bytes = ::recv(descriptor_, buffer, sizeof buffer, 0);
    return bytes < 0 ? "" : std::string(buffer, static_cast<std::size_t>(bytes));
  }

  // Sends as much as fits without anybody reading.
  void fill() {
    while (::send(sender_, "full", 4, 0) > 0) {
    }
    EXPECT_EQ(errno, EAGAIN);
  }

 private:
  const int descriptor_;
  const int sender_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
};

class ServiceNotifierTest : public testing::Test {
 protected:
  void SetUp() override { clear(); }
  void TearDown() override { clear(); }

  static void clear() {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(name);
  }
  static void set(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 1); }

  const std::string name_ = "llm_llm_notify_" + std::to_string(::getpid());
};

TEST_F(ServiceNotifierTest, SaysNothingWhenNobodyAsked) {
  const ServiceNotifier notifier;
  EXPECT_FALSE(notifier.interval());
  notifier.ready();
  notifier.alive();
  notifier.stopping();
}

TEST_F(ServiceNotifierTest, SendsOneDatagramForEachState) {
  const std::string path = (std::filesystem::temp_directory_path() / name_).string();
  for (const std::string& address : {path, "@" + name_}) {
    SCOPED_TRACE(address);
    NotifySocket socket(address);
    set("NOTIFY_SOCKET", address);
    const ServiceNotifier notifier;
    notifier.ready();
    notifier.alive();
    notifier.stopping();
    EXPECT_EQ(socket.take(), "READY=1");
    EXPECT_EQ(socket.take(), "WATCHDOG=1");
    EXPECT_EQ(socket.take(), "STOPPING=1");
    EXPECT_EQ(socket.take(), "");
  }
  std::filesystem::remove(path);
}

TEST_F(ServiceNotifierTest, RefusesSocketsOfOtherKinds) {
  for (const std::string& address : {std::string("vsock:2:9999"), std::string("relative"),
                                     std::string("@"), "/" + std::string(200, 'x')}) {
    set("NOTIFY_SOCKET", address);
    EXPECT_THROW(ServiceNotifier(), std::invalid_argument) << address;
  }
}

TEST_F(ServiceNotifierTest, PutsUpWithASocketThatHasGone) {
  set("NOTIFY_SOCKET", "/nonexistent/" + name_);
  ServiceNotifier().ready();
}

TEST_F(ServiceNotifierTest, NeverWaitsToFeedTheWatchdog) {
  NotifySocket socket("@" + name_);  // nobody reads it
  socket.fill();
  set("NOTIFY_SOCKET", "@" + name_);
  ServiceNotifier().alive();
  while (!socket.take().empty()) {
  }
  ServiceNotifier().alive();
  EXPECT_EQ(socket.take(), "WATCHDOG=1");
}

TEST_F(ServiceNotifierTest, FeedsTheWatchdogTwiceInItsTime) {
  set("WATCHDOG_USEC", "30000000");
  EXPECT_EQ(ServiceNotifier().interval(), milliseconds(15000));
  set("WATCHDOG_USEC", "1");
  EXPECT_EQ(ServiceNotifier().interval(), milliseconds(1));
}

TEST_F(ServiceNotifierTest, FeedsTheWatchdogOnlyWhenItIsMeant) {
  set("WATCHDOG_USEC", "2000000");
  set("WATCHDOG_PID", std::to_string(::getpid()));
  EXPECT_EQ(ServiceNotifier().interval(), milliseconds(1000));
  set("WATCHDOG_PID", std::to_string(::getppid()));
  EXPECT_FALSE(ServiceNotifier().interval());
}

TEST_F(ServiceNotifierTest, RefusesTimesThatAreNone) {
  for (const char* text : {"x", "10s", "-1", "0", "99999999999999999999"}) {
    set("WATCHDOG_USEC", text);
    EXPECT_THROW(ServiceNotifier(), std::invalid_argument) << text;
  }
}

}  // namespace
}  // namespace main_llm
