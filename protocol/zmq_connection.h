#pragma once

#include <functional>
#include <string>

#include "protocol/zmq_loop.h"

namespace protocol {

// A socket of a ZmqLoop that connects to one peer over ipc, where it must find it at once, and
// knows whether that is there: such a peer does not come back under the same URL. Belongs to the
// loop's thread like the loop's other sockets.
class ZmqConnection {
 public:
  struct Events {
    std::function<void()> on_ready;  // the handshake is done
    std::function<void()> on_lost;   // nobody is there, or no more; called once. May destroy this
  };

  // `type`: of <zmq.h>. Throws zmq::error_t.
  ZmqConnection(ZmqLoop& loop, int type, const std::string& url, Events events);
  // What was sent may still leave for a short while.
  ~ZmqConnection();

  ZmqConnection(const ZmqConnection&) = delete;
  ZmqConnection& operator=(const ZmqConnection&) = delete;

  zmq::socket_t& socket() { return *socket_; }

 private:
  void read_events();

  ZmqLoop& loop_;
  const Events events_;
  const std::unique_ptr<zmq::socket_t> socket_;
  const std::unique_ptr<zmq::socket_t> monitor_;
};

}  // namespace protocol
