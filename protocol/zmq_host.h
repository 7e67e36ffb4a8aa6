#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "protocol/unit_host.h"

namespace protocol {

struct ZmqHostOptions {
  std::filesystem::path socket_root = "/tmp";  // of rpc.sys; llm-sys names all other URLs
  std::chrono::milliseconds sys_timeout{3000};
  std::chrono::milliseconds idle_time{60000};  // after which a silent client is let go of
};

// The surroundings of a unit behind llm-sys, over ZeroMQ: PROTOCOL.md, "Behind llm-sys".
//
// One thread owns all sockets; those of a task are its output (XPUB, bound), its inferences (SUB)
// and, for each client, its replies (PUSH).
class ZmqHost : public UnitHost {
 public:
  struct Handlers {
    Handler request;
    GoneHandler gone;                // a client has gone
    std::function<void()> sys_lost;  // llm-sys has gone, and with it all tasks it allotted
  };

  // Makes the folder for sockets if there is none. The handlers are called from the host's thread.
  ZmqHost(const ZmqHostOptions& options, Handlers handlers);
  // What was sent is given half a second to leave.
  ~ZmqHost() override;

  // Hands on a client's request that came by a call; of one that is none, tells the client.
  void take_request(const std::string& reply_url, std::string_view json);

  // Runs `job` on the host's thread, when it gets to it; must not block. From any thread.
  void post(std::function<void()> job);

  // From now on llm-sys is given little time: the program ends.
  void hurry();

  std::string register_task() override;
  void release_task(const std::string& work_id) noexcept override;
  void publish(const std::string& work_id, const std::string& line) override;
  bool has_subscribers(const std::string& work_id) const override;
  std::optional<std::string> find_output(const std::string& work_id) override;
  std::unique_ptr<Subscription> subscribe(
      const std::string& url, std::function<void(std::string_view)> on_message) override;

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

// A request as llm-sys publishes it: the client's JSON with its reply URL spliced in as the first
// key, "zmq_com". nullopt when it does not begin so.
struct PublishedRequest {
  std::string reply_url;
  std::string json;  // as the client sent it
};
std::optional<PublishedRequest> parse_published_request(std::string_view message);

}  // namespace protocol
