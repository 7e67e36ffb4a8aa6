#pragma once

#include <chrono>
#include <functional>
#include <memory>

// cppzmq is included in zmq_*.cc only: it costs much compiling.
namespace zmq {
class context_t;
class socket_t;
}  // namespace zmq

namespace protocol {

// A thread that owns ZeroMQ sockets, and everything that belongs to them, so that none needs a
// lock. It runs jobs in the order they were posted, and calls back when a socket can be read.
//
// Threads: post() and run() may be called from any thread, the rest only from jobs and callbacks.
// Those must not block; what they throw is logged and ends only that call.
class ZmqLoop {
 public:
  using Job = std::function<void()>;

  ZmqLoop();
  // Runs what was posted and ends the thread. Sockets must be gone by then.
  ~ZmqLoop();

  ZmqLoop(const ZmqLoop&) = delete;
  ZmqLoop& operator=(const ZmqLoop&) = delete;

  void post(Job job);

  // Runs `job` on the loop's thread and waits for its end (at once on that thread itself).
  // Rethrows what it throws.
  void run(const Job& job);

  zmq::context_t& context();

  // Calls `on_readable` whenever messages wait; it takes them until there are none. Ends with
  // unwatch(), which comes before the socket's end and may be called from a callback.
  void watch(zmq::socket_t& socket, Job on_readable);
  void unwatch(zmq::socket_t& socket);

  // Runs `job` once, after `delay`.
  void post_after(std::chrono::milliseconds delay, Job job);

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

// For a socket that lines go through: 20,000 wait on each side for a peer that does not read them;
// when it is closed, those under way have 500 ms to leave. Call before bind or connect.
void limit_queues(zmq::socket_t& socket);

}  // namespace protocol
