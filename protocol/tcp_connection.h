#pragma once

#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>  // boost/asio/awaitable.hpp 1.74 needs it first

#include "protocol/framer.h"
#include "protocol/tcp_gateway.h"
#include "protocol/unit_host.h"

// The inside of TcpGateway.
namespace protocol {

// The lines waiting for one client. Any thread puts lines in; the connection takes them out.
class Outbox : public ReplySink {
 public:
  // `wake` tells the connection that there is something to take, or that there was too much. It
  // is called from any thread, never after close(), and must not block.
  Outbox(std::size_t max_bytes, std::function<void()> wake);

  void send(std::string line) override;
  bool closed() const override { return closed_; }

  // The next line, which counts until the next call; nullopt when there is none, and then send()
  // wakes again.
  std::optional<std::string> take();

  bool empty() const;
  bool overflowed() const { return overflowed_; }

  void close();

 private:
  const std::size_t max_bytes_;
  std::atomic<bool> closed_{false};
  std::atomic<bool> overflowed_{false};
  mutable std::mutex mutex_;  // guards what follows, and orders wake_ before close()
  std::function<void()> wake_;
  std::deque<std::string> lines_;
  std::size_t taken_bytes_ = 0;   // of the line being written
  std::size_t queued_bytes_ = 0;  // of lines_ and that line
  bool awake_ = false;            // wake_ was called and not all is taken
};

// One client: reads frames and hands on requests, writes the lines of its outbox, and finds out
// when the client has gone (see TcpGateway). Everything happens in the io_context's thread.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Ended = std::function<void(const std::shared_ptr<Connection>&)>;

  // `ended` is called when the client has gone or has to go; not after close().
  Connection(boost::asio::ip::tcp::socket socket, const TcpGatewayOptions& options, Handler handler,
             Ended ended);

  void start();

  // Writes what the kernel takes without waiting, then closes.
  void close();

  const std::shared_ptr<Outbox>& outbox() const { return outbox_; }

 private:
  using Clock = std::chrono::steady_clock;

  void read();
  void take_bytes(std::size_t count);
  void answer_frame(const Frame& frame);
  void flush();
  void write_lines(boost::system::error_code& error);
  void input_ended();
  void watch_half_closed();
  bool has_hung_up();
  void end(const std::string& cause);
  void shut();

  boost::asio::ip::tcp::socket socket_;
  boost::asio::steady_timer watch_timer_;
  const TcpGatewayOptions options_;
  const Handler handler_;
  const Ended ended_;
  const std::string peer_;  // address and port, for the log
  std::shared_ptr<Outbox> outbox_;
  Framer framer_;
  std::array<char, std::size_t{16} << 10> input_;
  std::string line_;  // being written
  std::size_t written_bytes_ = 0;
  bool is_waiting_to_write_ = false;
  bool input_ended_ = false;
  Clock::time_point last_write_;
};

}  // namespace protocol
