#pragma once

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>  // boost/asio/awaitable.hpp 1.74 needs it first

#include "protocol/unit_host.h"

namespace protocol {

struct TcpGatewayOptions {
  std::string listen = "127.0.0.1";  // address or host name
  std::uint16_t port = 10001;        // 0: any free one
  std::size_t max_frame_bytes = std::size_t{8} << 20;
  std::size_t max_queued_reply_bytes = std::size_t{4} << 20;  // a slower reader is cut off
  std::size_t max_connections = 64;  // one more is told kNotAvailable and closed
};

// The port of llm-sys: accepts connections, frames and parses what they send, hands each request
// to the handler with that connection's sink, and writes the replies, one write per line with
// TCP_NODELAY. Frames that are no requests are answered here (-1, -2).
//
// A client has gone when its connection breaks, when it lets more than max_queued_reply_bytes
// wait, or when it has closed it. TCP shows the last only as an end of input, which a client that
// goes on reading (`printf … | nc -N`) also sends. After an end of input, therefore, the connection
// stays while anyone holds its sink (owes it a reply) or lines are queued; and when nothing was
// written for a second, one space is, which is no message between lines but makes the kernel of a
// client that has gone break the connection. So a client counts as gone 1 to 1.5 seconds after it
// closed, while one that reads gets all its replies however long they take.
//
// Threads: everything runs in the io_context's one thread; sinks may be used from any thread.
// The handler and gone-handler are called in the io_context's thread. An exception from the handler
// closes the connection.
class TcpGateway {
 public:
  // Listens at once. Throws Error naming address, port and cause when it cannot.
  TcpGateway(boost::asio::io_context& io, const TcpGatewayOptions& options, Handler handler,
             GoneHandler gone);
  ~TcpGateway();  // close()

  TcpGateway(const TcpGateway&) = delete;
  TcpGateway& operator=(const TcpGateway&) = delete;

  std::uint16_t port() const;  // the real one where options said 0

  // Stops accepting and closes every connection after what is queued for it has been handed to
  // the kernel as far as it takes it without waiting. The handlers are not called any more, the
  // gone-handler for these connections neither. Call in the io_context's thread; then its run()
  // returns.
  void close();

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace protocol
