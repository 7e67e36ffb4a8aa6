#include "main_llm/serve.h"

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <iostream>
#include <string>
#include <thread>

#include "main_llm/service_notifier.h"
#include "main_llm/sys_unit.h"
#include "main_llm/unit.h"
#include "protocol/log.h"
#include "protocol/tcp_gateway.h"

namespace main_llm {
namespace {

// Without llm-sys there is nobody to allot numbers and no other unit to talk to.
class ServeHost : public protocol::UnitHost {
 public:
  std::string register_task() override { return "llm." + std::to_string(next_number_++); }
  void release_task(const std::string&) noexcept override {}
  void publish(const std::string&, const std::string&) override {}
  bool has_subscribers(const std::string&) const override { return false; }
  std::optional<std::string> find_output(const std::string&) override { return std::nullopt; }
  std::unique_ptr<protocol::Subscription> subscribe(
      const std::string& url, std::function<void(std::string_view)>) override {
    throw protocol::Error(protocol::WireCode::kLinkFailed, "nothing publishes at " + url);
  }

 private:
  std::atomic<int> next_number_{1000};  // as llm-sys begins
};

// What llm-sys does with the first part of a work_id.
class Router {
 public:
  Router(Unit& unit, SysUnit& sys) : unit_(unit), sys_(sys) {}

  void handle(const protocol::Request& request, const protocol::ReplySinkPtr& sink) {
    const std::string unit = request.work_id.substr(0, request.work_id.find('.'));
    if (unit.empty() || unit == "sys") {
      sys_.handle(request, sink);
    } else if (unit == "llm") {
      unit_.handle(request, sink);
    } else {
      protocol::Reply reply;
      reply.request_id = request.request_id;
      reply.work_id = request.work_id;
      reply.error = request.action == "inference"
                        ? protocol::make_error(protocol::WireCode::kNoSuchTask)
                        : protocol::make_error(protocol::WireCode::kUnitCallFailed,
                                               "there is no unit \"" + unit + "\" here");
      sink->send(protocol::serialize(reply));
    }
  }

 private:
  Unit& unit_;
  SysUnit& sys_;
};

// Feeds the watchdog from the thread that serves all clients: when it is stuck, nothing comes.
class Heartbeat {
 public:
  Heartbeat(boost::asio::io_context& io, const ServiceNotifier& notifier)
      : timer_(io), notifier_(notifier) {
    if (notifier_.interval()) schedule();
  }
  // io's run() waits for it no longer.
  void end() {
    has_ended_ = true;
    timer_.cancel();
  }

 private:
  void schedule() {
    timer_.expires_after(*notifier_.interval());
    timer_.async_wait([this](const boost::system::error_code&) {
      if (has_ended_) return;
      notifier_.alive();
      schedule();
    });
  }

  boost::asio::steady_timer timer_;
  const ServiceNotifier& notifier_;
  bool has_ended_ = false;
};

}  // namespace

int serve(const ServeOptions& options, ModelLoader& loader) {
  const ServiceNotifier notifier;
  ServeHost host;
  Unit unit(host, loader, options.unit);
  SysUnit sys(unit, loader, options.root);
  Router router(unit, sys);

  boost::asio::io_context io;
  protocol::TcpGatewayOptions gateway_options;
  gateway_options.listen = options.listen;
  gateway_options.port = options.port;
  protocol::TcpGateway gateway(
      io, gateway_options,
      [&](const protocol::Request& request, const protocol::ReplySinkPtr& sink) {
        router.handle(request, sink);
      },
      [&](const protocol::ReplySinkPtr& sink) { unit.sender_gone(sink); });

  Heartbeat heartbeat(io, notifier);
  boost::asio::signal_set signals(io, SIGINT, SIGTERM);
  signals.async_wait([&](const boost::system::error_code& error, int signal) {
    if (error) return;
    notifier.stopping();
    heartbeat.end();
    protocol::log_info("signal ", signal, ": ending");
    // The gateway stays until the tasks have written their last frames.
    unit.end([&] { boost::asio::post(io, [&] { gateway.close(); }); });
  });

  std::cout << "listening on " << options.listen << ':' << gateway.port() << std::endl;
  protocol::log_info("listening on ", options.listen, ":", gateway.port());
  notifier.ready();
  io.run();
  return 0;
}

}  // namespace main_llm
