#include "protocol/zmq_rpc.h"

#include <algorithm>
#include <system_error>
#include <utility>
#include <zmq.hpp>

#include "protocol/error.h"
#include "protocol/json_writer.h"
#include "protocol/zmq_loop.h"
#include "protocol/zmq_socket_file.h"

namespace protocol {
namespace {

// How long a unit that is there may take to say so.
constexpr std::chrono::milliseconds kFirstUnitTimeout{1500};

// Takes one length-prefixed string off the front.
std::optional<std::string> take_string(std::string_view& payload) {
  if (payload.empty()) return std::nullopt;
  const std::size_t length = static_cast<unsigned char>(payload.front());
  if (payload.size() < 1 + length) return std::nullopt;
  std::string text(payload.substr(1, length));
  payload.remove_prefix(1 + length);
  return text;
}

void refuse_second_unit(const std::filesystem::path& socket_file) {
  if (!call_rpc(socket_file, "list_action", "", kFirstUnitTimeout)) return;
  throw Error(WireCode::kNotAvailable,
              "another llm unit answers at " + socket_file.string() +
                  "; stop it first (on the module: systemctl stop llm-llm)");
}

}  // namespace

std::optional<RpcRequest> parse_rpc_request(std::string_view payload) {
  std::optional<std::string> url = take_string(payload);
  if (!url || url->empty()) return std::nullopt;
  return RpcRequest{*std::move(url), std::string(payload)};
}

std::optional<RpcRegistration> parse_rpc_registration(std::string_view payload) {
  const std::optional<std::string> number = take_string(payload);
  const std::optional<std::string> output_url = take_string(payload);
  if (!number || !output_url || payload.empty()) return std::nullopt;
  return RpcRegistration{*number, *output_url, std::string(payload)};
}

std::string ipc_url(const std::filesystem::path& socket_file) {
  return "ipc://" + socket_file.string();
}

std::optional<std::string> call_rpc(const std::filesystem::path& socket_file,
                                    const std::string& action, const std::string& payload,
                                    std::chrono::milliseconds timeout) {
  std::error_code ignored;
  if (!std::filesystem::exists(socket_file, ignored)) return std::nullopt;
  zmq::context_t context;
  zmq::socket_t socket(context, zmq::socket_type::req);
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::sndtimeo, static_cast<int>(timeout.count()));
  socket.set(zmq::sockopt::rcvtimeo, static_cast<int>(timeout.count()));
  socket.connect(ipc_url(socket_file));
  zmq::message_t answer;
  if (!socket.send(zmq::buffer(action), zmq::send_flags::sndmore) ||
      !socket.send(zmq::buffer(payload), zmq::send_flags::none) || !socket.recv(answer)) {
    return std::nullopt;
  }
  return answer.to_string();
}

class RpcServer::Impl {
 public:
  Impl(const std::filesystem::path& socket_file, std::vector<std::string> actions,
       OnRequest on_request)
      : actions_(std::move(actions)), on_request_(std::move(on_request)) {
    refuse_second_unit(socket_file);
    loop_.run([&] { open(ipc_url(socket_file)); });
  }

  ~Impl() {
    file_.reset();  // first: who finds it waits for an answer
    loop_.run([this] {
      loop_.unwatch(*socket_);
      socket_.reset();
    });
  }

  void post(std::function<void()> job) { loop_.post(std::move(job)); }

 private:
  void open(const std::string& url) {
    socket_ = std::make_unique<zmq::socket_t>(loop_.context(), zmq::socket_type::rep);
    socket_->set(zmq::sockopt::linger, 0);
    try {
      socket_->bind(url);
    } catch (const zmq::error_t& error) {
      socket_.reset();
      throw Error(WireCode::kNotAvailable, "cannot listen on " + url + ": " + error.what());
    }
    file_.emplace(url);
    loop_.watch(*socket_, [this] {
      while (answer()) {
      }
    });
  }

  // Answers one call; false when none waits.
  bool answer() {
    std::vector<std::string> parts;
    zmq::message_t part;
    do {
      if (!socket_->recv(part, zmq::recv_flags::dontwait)) return false;
      parts.push_back(part.to_string());
    } while (part.more());
    const std::string& action = parts[0];
    std::optional<RpcRequest> request;
    if (parts.size() == 2) request = parse_rpc_request(parts[1]);
    const bool is_known = std::find(actions_.begin(), actions_.end(), action) != actions_.end();
    if (action == "list_action") {
      send("{\"actions\":" + json_array(actions_) + "}");
    } else {
      send(request && is_known ? "None" : action + " NotAction");
    }
    if (request) on_request_(action, *std::move(request));
    return true;
  }

  void send(const std::string& answer) {
    (void)socket_->send(zmq::buffer(answer), zmq::send_flags::dontwait);
  }

  const std::vector<std::string> actions_;
  const OnRequest on_request_;
  ZmqLoop loop_;
  std::unique_ptr<zmq::socket_t> socket_;  // the loop's
  std::optional<ZmqSocketFile> file_;
};

RpcServer::RpcServer(const std::filesystem::path& socket_file, std::vector<std::string> actions,
                     OnRequest on_request)
    : impl_(std::make_unique<Impl>(socket_file, std::move(actions), std::move(on_request))) {}

RpcServer::~RpcServer() = default;

void RpcServer::post(std::function<void()> job) { impl_->post(std::move(job)); }

}  // namespace protocol
