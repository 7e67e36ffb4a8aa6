#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Calls between llm-sys and its units: two parts, action and payload, answered with one.
namespace protocol {

// A client's request, as llm-sys hands it to a unit: a byte with the length of the reply URL, the
// URL, the JSON as the client sent it.
struct RpcRequest {
  std::string reply_url;
  std::string json;
};

// nullopt for a payload of another shape.
std::optional<RpcRequest> parse_rpc_request(std::string_view payload);

// What llm-sys allots to a task: number and output URL behind a byte with their length each, and
// the URL it publishes inferences at.
struct RpcRegistration {
  std::string number;
  std::string output_url;
  std::string inference_url;
};
std::optional<RpcRegistration> parse_rpc_registration(std::string_view payload);

// "ipc:///tmp/rpc.llm" for the socket file /tmp/rpc.llm.
std::string ipc_url(const std::filesystem::path& socket_file);

// Calls whoever answers at `socket_file`. nullopt when there is no such file, or no answer in
// time. Throws zmq::error_t when the path is no possible one.
std::optional<std::string> call_rpc(const std::filesystem::path& socket_file,
                                    const std::string& action, const std::string& payload,
                                    std::chrono::milliseconds timeout);

// Answers calls on a socket file, from a thread that does nothing else: llm-sys holds up all
// clients of the module while it waits for the answer.
class RpcServer {
 public:
  // Gets `action` and its request behind the answer to the call; must not block.
  using OnRequest = std::function<void(const std::string& action, RpcRequest request)>;

  // `actions`: what `list_action` tells, and which are not answered with "NotAction" (their
  // requests are handed on too). Takes over a file that nobody answers at. Throws Error when a
  // unit answers there already, or the file cannot be made.
  RpcServer(const std::filesystem::path& socket_file, std::vector<std::string> actions,
            OnRequest on_request);

  // Ends the thread, and removes the file unless another program has taken it over.
  ~RpcServer();

  // Runs `job` on the thread that answers, when it gets to it; must not block. From any thread.
  void post(std::function<void()> job);

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace protocol
