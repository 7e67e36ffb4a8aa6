#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace main_llm {

// Tells systemd, or whoever else started the program so, how the service is doing: one datagram
// for each state, as sd_notify(3) describes them, without libsystemd. Without NOTIFY_SOCKET every
// call does nothing. What cannot be sent is logged as a warning; nothing else depends on it.
//
// Threads: any.
class ServiceNotifier {
 public:
  // Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID (sd_notify(3), sd_watchdog_enabled(3)).
  // Throws std::invalid_argument for a socket that is neither a path nor, with @, an abstract name,
  // and for a WATCHDOG_USEC that is no number of microseconds.
  ServiceNotifier();

  void ready() const;     // requests are answered from now on
  void stopping() const;  // the program has begun to end
  void alive() const;     // feeds the watchdog; never waits

  // How often alive() should be called: twice in the time after which the program would be ended.
  // nullopt when nobody watches, or another process is meant.
  std::optional<std::chrono::milliseconds> interval() const { return interval_; }

 private:
  void send(std::string_view state, int flags) const;

  const std::string socket_;  // empty: nobody listens
  const std::optional<std::chrono::milliseconds> interval_;
};

}  // namespace main_llm
