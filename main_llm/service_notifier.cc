#include "main_llm/service_notifier.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <stdexcept>
#include <system_error>

#include "protocol/log.h"

namespace main_llm {
namespace {

std::string environment_value(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

std::string notify_socket() {
  std::string socket = environment_value("NOTIFY_SOCKET");
  if (socket.empty()) return socket;
  if ((socket[0] != '/' && socket[0] != '@') || socket.size() < 2 ||
      socket.size() >= sizeof(sockaddr_un::sun_path)) {
    throw std::invalid_argument("NOTIFY_SOCKET \"" + socket +
                                "\" is neither a path nor an abstract name (@...) of a socket");
  }
  return socket;
}

std::optional<std::chrono::milliseconds> watchdog_interval() {
  const std::string text = environment_value("WATCHDOG_USEC");
  if (text.empty()) return std::nullopt;
  const std::string pid = environment_value("WATCHDOG_PID");
  if (!pid.empty() && pid != std::to_string(::getpid())) return std::nullopt;
  std::chrono::microseconds::rep microseconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), microseconds);
  if (error != std::errc() || end != text.data() + text.size() || microseconds <= 0) {
    throw std::invalid_argument("WATCHDOG_USEC \"" + text + "\" is no number of microseconds");
  }
  const auto half = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::microseconds(microseconds / 2));
  return std::max(half, std::chrono::milliseconds(1));
}

}  // namespace

ServiceNotifier::ServiceNotifier() : socket_(notify_socket()), interval_(watchdog_interval()) {}

void ServiceNotifier::ready() const { send("READY=1", 0); }
void ServiceNotifier::stopping() const { send("STOPPING=1", 0); }
void ServiceNotifier::alive() const { send("WATCHDOG=1", MSG_DONTWAIT); }

void ServiceNotifier::send(std::string_view state, int flags) const {
  if (socket_.empty()) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy(socket_.begin(), socket_.end(), address.sun_path);
  std::size_t length = offsetof(sockaddr_un, sun_path) + socket_.size();
  if (socket_[0] == '@') {
    address.sun_path[0] = '\0';  // an abstract name ends where its length says
  } else {
    ++length;
  }
  const int descriptor = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ssize_t sent = -1;
  if (descriptor >= 0) {
    do {
      sent = ::sendto(descriptor, state.data(), state.size(), flags | MSG_NOSIGNAL,
                      reinterpret_cast<const sockaddr*>(&address), static_cast<socklen_t>(length));
    } while (sent < 0 && errno == EINTR);
  }
  if (sent < 0) {
    const std::error_code error(errno, std::generic_category());
    protocol::log_warn("cannot send ", state, " to NOTIFY_SOCKET ", socket_, ": ", error.message());
  }
  if (descriptor >= 0) ::close(descriptor);
}

}  // namespace main_llm
