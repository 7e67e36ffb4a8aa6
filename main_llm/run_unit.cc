#include "main_llm/run_unit.h"

#include <pthread.h>

#include <csignal>
#include <filesystem>
#include <future>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

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
  int wait() const {
    int signal = 0;
    sigwait(&signals_, &signal);
    return signal;
  }

 private:
  sigset_t signals_;
};

// What llm-sys calls; inferences it publishes.
const std::vector<std::string> kActions = {"setup", "pause",  "work",    "exit",
                                           "link",  "unlink", "taskinfo"};

}  // namespace

int run_unit(const UnitModeOptions& options, ModelLoader& loader) {
  const EndSignals signals;
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

  protocol::log_info("signal ", signals.wait(), ": ending");
  calls.reset();
  host.hurry();
  std::promise<void> dropped;
  unit->drop_tasks([&] { dropped.set_value(); });
  dropped.get_future().wait();
  return 0;
}

}  // namespace main_llm
