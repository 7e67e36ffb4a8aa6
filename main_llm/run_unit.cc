#include "main_llm/run_unit.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <future>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "main_llm/service_notifier.h"
#include "main_llm/unit.h"
#include "protocol/log.h"
#include "protocol/zmq_host.h"
#include "protocol/zmq_rpc.h"

namespace main_llm {
namespace {

// The signals that end the program, kept for wait(). Made before any thread, which inherits that.
class EndSignals {
 public:
  EndSignals() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGINT);
    sigaddset(&signals_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  }
  // The signal that came; 0 when `timeout`, if there is one, has passed, or sooner.
  int wait(std::optional<std::chrono::milliseconds> timeout) const {
    if (!timeout) return std::max(sigwaitinfo(&signals_, nullptr), 0);
    const auto seconds = std::chrono::floor<std::chrono::seconds>(*timeout);
    const timespec limit{.tv_sec = seconds.count(),
                         .tv_nsec = std::chrono::nanoseconds(*timeout - seconds).count()};
    return std::max(sigtimedwait(&signals_, nullptr, &limit), 0);
  }

 private:
  sigset_t signals_;
};

// What llm-sys calls; inferences it publishes.
const std::vector<std::string> kActions = {"setup", "pause",  "work",    "exit",
                                           "link",  "unlink", "taskinfo"};

// Waits for a signal, and sends for signs of life: through both threads that everybody depends on,
// so that the watchdog hears nothing when one is stuck.
int wait_for_end(const EndSignals& signals, const ServiceNotifier& notifier,
                 protocol::RpcServer& calls, protocol::ZmqHost& host) {
  while (true) {
    const int signal = signals.wait(notifier.interval());
    if (signal != 0) return signal;
    calls.post([&host, &notifier] { host.post([&notifier] { notifier.alive(); }); });
  }
}

}  // namespace

int run_unit(const UnitModeOptions& options, ModelLoader& loader) {
  const EndSignals signals;
  const ServiceNotifier notifier;
  std::optional<Unit> unit;  // ends behind the host, which calls it; by then it has no tasks
  protocol::ZmqHostOptions host_options;
  host_options.socket_root = options.socket_root;
  protocol::ZmqHost host(
      host_options, {[&](const protocol::Request& request, const protocol::ReplySinkPtr& sink) {
                       unit->handle(request, sink);
                     },
                     [&](const protocol::ReplySinkPtr& sink) { unit->sender_gone(sink); },
                     [&] { unit->drop_tasks([] {}); }});
  unit.emplace(host, loader, options.unit);

  const std::filesystem::path socket = options.socket_root / "rpc.llm";
  std::optional<protocol::RpcServer> calls;
  calls.emplace(socket, kActions, [&](const std::string&, const protocol::RpcRequest& request) {
    host.take_request(request.reply_url, request.json);
  });
  std::cout << "answering at " << socket.string() << std::endl;
  protocol::log_info("answering at ", socket.string());
  if (!std::filesystem::exists(options.socket_root / "rpc.sys")) {
    protocol::log_info("llm-sys is not there yet");
  }

  notifier.ready();

  const int signal = wait_for_end(signals, notifier, *calls, host);
  notifier.stopping();
  protocol::log_info("signal ", signal, ": ending");
  calls.reset();
  host.hurry();
  std::promise<void> dropped;
  unit->end([&] { dropped.set_value(); });
  dropped.get_future().wait();
  return 0;
}

}  // namespace main_llm
