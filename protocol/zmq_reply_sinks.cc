#include "protocol/zmq_reply_sinks.h"

#include <atomic>
#include <optional>
#include <utility>
#include <vector>
#include <zmq.hpp>

#include "protocol/log.h"
#include "protocol/zmq_connection.h"

namespace protocol {
namespace {

using Clock = std::chrono::steady_clock;

// Senders remembered though they are not connected to.
constexpr std::size_t kMaxUnconnected = 256;

}  // namespace

class ZmqReplySinks::Sink : public ReplySink, public std::enable_shared_from_this<Sink> {
 public:
  Sink(ZmqReplySinks& sinks, ZmqLoop& loop, std::string url)
      : sinks_(sinks), loop_(loop), url_(std::move(url)) {}

  void send(std::string line) override {
    if (closed_) return;
    loop_.post([self = shared_from_this(), line = std::move(line)] { self->push(line); });
  }

  bool closed() const override { return closed_; }
  const std::string& url() const { return url_; }

  // The rest is the loop's.

  void connect() {
    last_use_ = Clock::now();
    if (closed_ || connection_) return;
    try {
      open();
    } catch (const zmq::error_t& error) {
      log_warn(url_, ": no reply URL: ", error.what());
      sinks_.lost(*this);
    }
  }

  void disconnect() { connection_.reset(); }
  bool is_connected() const { return connection_.has_value(); }
  Clock::time_point last_use() const { return last_use_; }

  void close() {
    closed_ = true;
    disconnect();
  }

 private:
  void push(const std::string& line) {
    connect();
    if (closed_) return;
    if (!connection_->socket().send(zmq::buffer(line), zmq::send_flags::dontwait)) {
      log_warn(url_, ": cut off: it does not read its replies");
      sinks_.lost(*this);
    }
  }

  void open() {
    ZmqConnection::Events events;
    events.on_lost = [this] {
      const auto self = shared_from_this();  // the map may hold the last one
      sinks_.lost(*this);
      log_debug(url_, ": the client has gone");  // and its jobs are cancelled
    };
    connection_.emplace(loop_, ZMQ_PUSH, url_, std::move(events));
  }

  ZmqReplySinks& sinks_;  // there as long as this is not closed
  ZmqLoop& loop_;
  const std::string url_;
  std::atomic<bool> closed_ = false;
  std::optional<ZmqConnection> connection_;
  Clock::time_point last_use_;
};

ZmqReplySinks::ZmqReplySinks(ZmqLoop& loop, GoneHandler on_gone,
                             std::chrono::milliseconds idle_time)
    : loop_(loop), on_gone_(std::move(on_gone)), idle_time_(idle_time) {
  loop_.run([this] { reap_regularly(); });
}

ZmqReplySinks::~ZmqReplySinks() {
  loop_.run([this] {
    *alive_ = false;
    const std::lock_guard lock(mutex_);
    for (const auto& [url, sink] : sinks_) sink->close();
  });
}

ReplySinkPtr ZmqReplySinks::get(const std::string& url) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Sink>& sink = sinks_[url];
  if (!sink || sink->closed()) sink = std::make_shared<Sink>(*this, loop_, url);
  loop_.post([sink] { sink->connect(); });
  return sink;
}

void ZmqReplySinks::lost(Sink& sink) {
  const ReplySinkPtr self = sink.shared_from_this();
  sink.close();
  {
    const std::lock_guard lock(mutex_);
    const auto entry = sinks_.find(sink.url());
    if (entry != sinks_.end() && entry->second == self) sinks_.erase(entry);
  }
  on_gone_(self);
}

void ZmqReplySinks::reap() {
  const auto now = Clock::now();
  std::size_t unconnected = 0;
  const std::lock_guard lock(mutex_);
  for (auto entry = sinks_.begin(); entry != sinks_.end();) {
    Sink& sink = *entry->second;
    const bool is_held = entry->second.use_count() > 1;
    if (!is_held && sink.is_connected() && now - sink.last_use() >= idle_time_) sink.disconnect();
    const bool forget = !is_held && !sink.is_connected() && ++unconnected > kMaxUnconnected;
    entry = forget ? sinks_.erase(entry) : std::next(entry);
  }
}

void ZmqReplySinks::reap_regularly() {
  loop_.post_after(idle_time_ / 2, [this, alive = alive_] {
    if (!*alive) return;
    reap();
    reap_regularly();
  });
}

}  // namespace protocol
