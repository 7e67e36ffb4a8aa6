#include "protocol/tcp_connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <exception>
#include <string_view>
#include <variant>

#include "protocol/log.h"
#include "protocol/message.h"

namespace protocol {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

// A client that closed its sending side is looked after this often,
constexpr std::chrono::milliseconds kWatchInterval{250};
// and after this long without a write it is sent a space, which only a client that has gone
// altogether refuses.
constexpr std::chrono::milliseconds kProbeInterval{1000};

std::string describe_peer(const tcp::socket& socket) {
  error_code error;
  const tcp::endpoint peer = socket.remote_endpoint(error);
  if (error) return "(gone)";
  return peer.address().to_string() + ":" + std::to_string(peer.port());
}

// Failures only cost promptness, so they are let pass.
void set_options(tcp::socket& socket) {
  error_code ignored;
  socket.non_blocking(true, ignored);
  socket.set_option(tcp::no_delay(true), ignored);
  // An idle client that vanished without a word (power, cable) is gone within about a minute.
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  using asio::detail::socket_option::integer;
  socket.set_option(integer<IPPROTO_TCP, TCP_KEEPIDLE>(30), ignored);
  socket.set_option(integer<IPPROTO_TCP, TCP_KEEPINTVL>(10), ignored);
  socket.set_option(integer<IPPROTO_TCP, TCP_KEEPCNT>(3), ignored);
}

std::string error_line(const std::string& request_id, WireError error) {
  Reply reply;
  reply.request_id = request_id;
  reply.work_id = "sys";
  reply.error = std::move(error);
  return serialize(reply);
}

}  // namespace

Outbox::Outbox(std::size_t max_bytes, std::function<void()> wake)
    : max_bytes_(max_bytes), wake_(std::move(wake)) {}

void Outbox::send(std::string line) {
  const std::lock_guard lock(mutex_);
  if (closed_ || overflowed_) return;
  if (line.size() > max_bytes_ - queued_bytes_) {
    overflowed_ = true;
    wake_();
    return;
  }
  queued_bytes_ += line.size();
  lines_.push_back(std::move(line));
  if (!std::exchange(awake_, true)) wake_();
}

std::optional<std::string> Outbox::take() {
  const std::lock_guard lock(mutex_);
  queued_bytes_ -= std::exchange(taken_bytes_, 0);
  if (lines_.empty()) {
    awake_ = false;
    return std::nullopt;
  }
  std::string line = std::move(lines_.front());
  lines_.pop_front();
  taken_bytes_ = line.size();
  return line;
}

bool Outbox::empty() const {
  const std::lock_guard lock(mutex_);
  return queued_bytes_ == 0;
}

void Outbox::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  lines_.clear();
  wake_ = nullptr;
}

Connection::Connection(tcp::socket socket, const TcpGatewayOptions& options, Handler handler,
                       Ended ended)
    : socket_(std::move(socket)),
      watch_timer_(socket_.get_executor()),
      options_(options),
      handler_(std::move(handler)),
      ended_(std::move(ended)),
      peer_(describe_peer(socket_)),
      framer_(options.max_frame_bytes) {}

void Connection::start() {
  set_options(socket_);
  outbox_ = std::make_shared<Outbox>(options_.max_queued_reply_bytes,
                                     [executor = socket_.get_executor(), weak = weak_from_this()] {
                                       asio::post(executor, [weak] {
                                         if (const auto self = weak.lock()) self->flush();
                                       });
                                     });
  log_debug(peer_, ": connected");
  read();
}

void Connection::close() {
  if (!socket_.is_open()) return;
  error_code ignored;
  if (!outbox_->overflowed()) write_lines(ignored);
  shut();
}

void Connection::read() {
  socket_.async_read_some(asio::buffer(input_),
                          [self = shared_from_this()](error_code error, std::size_t count) {
                            if (!self->socket_.is_open()) return;
                            if (error == asio::error::eof) return self->input_ended();
                            if (error) return self->end(error.message());
                            self->take_bytes(count);
                          });
}

void Connection::take_bytes(std::size_t count) {
  try {
    framer_.push(std::string_view(input_.data(), count));
    while (const std::optional<Frame> frame = framer_.next()) {
      answer_frame(*frame);
      if (!socket_.is_open()) return;
    }
  } catch (const std::exception& error) {
    log_error(peer_, ": a request failed: ", error.what());
    return end("an internal error");
  }
  read();
}

void Connection::answer_frame(const Frame& frame) {
  if (frame.kind == Frame::Kind::kReset) {
    log_warn(peer_, ": framing reset");
    outbox_->send(error_line("0", make_error(WireCode::kFramingReset)));
    return;
  }
  std::variant<Request, BadRequest> parsed = parse_frame(frame);
  if (const auto* bad = std::get_if<BadRequest>(&parsed)) {
    log_warn(peer_, ": not a request: ", bad->detail);
    outbox_->send(error_line(bad->request_id, make_error(WireCode::kJsonFormat, bad->detail)));
    return;
  }
  Request& request = std::get<Request>(parsed);
  log_debug(peer_, ": request ", request.request_id, " ", request.work_id, " ", request.action,
            ", ", frame.json.size(), " bytes");
  handler_(std::move(request), outbox_);
}

void Connection::flush() {
  if (!socket_.is_open()) return;
  if (outbox_->overflowed()) {
    log_warn(peer_, ": cut off: over ", options_.max_queued_reply_bytes,
             " bytes of replies wait to be read");
    return end("it does not read its replies");
  }
  if (is_waiting_to_write_) return;
  error_code error;
  write_lines(error);
  if (error == asio::error::would_block) {
    is_waiting_to_write_ = true;
    socket_.async_wait(tcp::socket::wait_write, [self = shared_from_this()](error_code) {
      self->is_waiting_to_write_ = false;
      self->flush();
    });
  } else if (error) {
    end(error.message());
  } else if (input_ended_) {
    watch_half_closed();
  }
}

// One call of the kernel for each line, until none is left or the kernel takes no more.
void Connection::write_lines(error_code& error) {
  while (true) {
    if (written_bytes_ == line_.size()) {
      std::optional<std::string> next = outbox_->take();
      if (!next) return;
      line_ = *std::move(next);
      written_bytes_ = 0;
    }
    const std::size_t count = socket_.write_some(asio::buffer(line_) + written_bytes_, error);
    if (error) return;
    written_bytes_ += count;
    last_write_ = Clock::now();
  }
}

void Connection::input_ended() {
  log_debug(peer_, ": sends no more");
  input_ended_ = true;
  last_write_ = Clock::now();
  watch_half_closed();
}

void Connection::watch_half_closed() {
  if (!socket_.is_open()) return;
  if (has_hung_up()) return end("it hung up");
  // Whoever owes a reply holds the outbox, and lets go of it after the last line is in: asking in
  // this order misses no line.
  const bool is_owed_replies = outbox_.use_count() > 1;
  const bool is_idle = outbox_->empty();
  if (!is_owed_replies && is_idle) return end("all is answered");
  if (is_idle && Clock::now() - last_write_ >= kProbeInterval) {
    error_code error;
    socket_.write_some(asio::buffer(" ", 1), error);
    if (error && error != asio::error::would_block) return end(error.message());
    last_write_ = Clock::now();
  }
  watch_timer_.expires_after(kWatchInterval);
  watch_timer_.async_wait([self = shared_from_this()](error_code error) {
    if (!error) self->watch_half_closed();
  });
}

bool Connection::has_hung_up() {
  pollfd state{socket_.native_handle(), 0, 0};
  return ::poll(&state, 1, 0) == 1 && (state.revents & (POLLERR | POLLHUP)) != 0;
}

void Connection::end(const std::string& cause) {
  if (!socket_.is_open()) return;
  log_debug(peer_, ": gone: ", cause);
  shut();
  ended_(shared_from_this());
}

void Connection::shut() {
  outbox_->close();
  watch_timer_.cancel();
  error_code ignored;
  socket_.close(ignored);
}

}  // namespace protocol
