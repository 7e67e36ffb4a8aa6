#include "protocol/zmq_connection.h"

#include <atomic>
#include <cstdint>
#include <cstring>
#include <utility>
#include <zmq.hpp>

namespace protocol {
namespace {

constexpr int kReadyEvent = ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
// A connection that fails is tried again by ZeroMQ; here that means nobody is there.
constexpr int kLostEvents = ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CONNECT_RETRIED |
                            ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                            ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

// Has the events of `socket` sent to the socket returned.
std::unique_ptr<zmq::socket_t> monitor(zmq::context_t& context, zmq::socket_t& socket) {
  static std::atomic<unsigned> next_number{0};
  const std::string url = "inproc://events-" + std::to_string(next_number++);
  if (zmq_socket_monitor(socket.handle(), url.c_str(), kReadyEvent | kLostEvents) != 0) {
    throw zmq::error_t();
  }
  auto events = std::make_unique<zmq::socket_t>(context, zmq::socket_type::pair);
  events->connect(url);
  return events;
}

}  // namespace

ZmqConnection::ZmqConnection(ZmqLoop& loop, int type, const std::string& url, Events events)
    : loop_(loop),
      events_(std::move(events)),
      socket_(std::make_unique<zmq::socket_t>(loop.context(), type)),
      monitor_(monitor(loop.context(), *socket_)) {
  limit_queues(*socket_);
  if (type == ZMQ_SUB) {
    socket_->set(zmq::sockopt::subscribe, "");
    // Else the end of the program waits to cancel the subscription at a peer that has gone.
    socket_->set(zmq::sockopt::linger, 0);
  }
  socket_->connect(url);
  loop_.watch(*monitor_, [this] { read_events(); });
}

ZmqConnection::~ZmqConnection() {
  loop_.unwatch(*monitor_);
  zmq_socket_monitor(socket_->handle(), nullptr, 0);
}

void ZmqConnection::read_events() {
  zmq::message_t event;
  zmq::message_t address;
  while (monitor_->recv(event, zmq::recv_flags::dontwait)) {
    (void)monitor_->recv(address);
    std::uint16_t number = 0;
    std::memcpy(&number, event.data(), sizeof number);
    if (number == kReadyEvent) {
      if (events_.on_ready) events_.on_ready();
    } else {
      loop_.unwatch(*monitor_);
      const auto on_lost = events_.on_lost;  // its own copy: this may go
      return on_lost();
    }
  }
}

}  // namespace protocol
