#include "protocol/tcp_gateway.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/system_error.hpp>
#include <chrono>
#include <exception>
#include <set>

#include "protocol/log.h"
#include "protocol/message.h"
#include "protocol/tcp_connection.h"

namespace protocol {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

// Before accepting again when it failed, for want of file descriptors for example.
constexpr std::chrono::milliseconds kAcceptRetryInterval{200};

tcp::acceptor open_acceptor(asio::io_context& io, const TcpGatewayOptions& options) {
  try {
    tcp::resolver resolver(io);
    const auto found = resolver.resolve(options.listen, std::to_string(options.port),
                                        tcp::resolver::numeric_service);
    return tcp::acceptor(io, found.begin()->endpoint(), /*reuse_addr=*/true);
  } catch (const boost::system::system_error& error) {
    throw Error(WireCode::kNotAvailable, "cannot listen on " + options.listen + ":" +
                                             std::to_string(options.port) + ": " +
                                             error.code().message());
  }
}

}  // namespace

class TcpGateway::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& io, const TcpGatewayOptions& options, Handler handler, GoneHandler gone)
      : options_(options),
        handler_(std::move(handler)),
        gone_(std::move(gone)),
        acceptor_(open_acceptor(io, options)),
        retry_timer_(io),
        port_(acceptor_.local_endpoint().port()) {}

  std::uint16_t port() const { return port_; }

  void accept() {
    acceptor_.async_accept([self = shared_from_this()](error_code error, tcp::socket socket) {
      if (!self->acceptor_.is_open()) return;
      if (error) return self->accept_later(error);
      self->accept_failing_ = false;
      self->begin(std::move(socket));
      self->accept();
    });
  }

  void close() {
    error_code ignored;
    acceptor_.close(ignored);
    retry_timer_.cancel();
    for (const std::shared_ptr<Connection>& connection : connections_) connection->close();
    connections_.clear();
  }

 private:
  void accept_later(const error_code& error) {
    if (!std::exchange(accept_failing_, true)) {
      log_warn("cannot accept connections: ", error.message(), "; trying on");
    }
    retry_timer_.expires_after(kAcceptRetryInterval);
    retry_timer_.async_wait([self = shared_from_this()](error_code cancelled) {
      if (!cancelled) self->accept();
    });
  }

  void begin(tcp::socket socket) {
    if (connections_.size() >= options_.max_connections) return refuse(std::move(socket));
    try {
      auto connection = std::make_shared<Connection>(
          std::move(socket), options_, handler_,
          [weak = weak_from_this()](const std::shared_ptr<Connection>& ended) {
            if (const auto self = weak.lock()) self->forget(ended);
          });
      connections_.insert(connection);
      connection->start();
    } catch (const std::exception& error) {
      log_error("a new connection failed: ", error.what());
    }
  }

  void refuse(tcp::socket socket) {
    const std::string detail =
        std::to_string(options_.max_connections) + " clients are connected, the most allowed";
    log_warn("a client was refused: ", detail);
    Reply reply;
    reply.request_id = "0";
    reply.work_id = "sys";
    reply.error = make_error(WireCode::kNotAvailable, detail);
    error_code ignored;
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(serialize(reply)), ignored);
  }

  void forget(const std::shared_ptr<Connection>& connection) {
    if (connections_.erase(connection) == 0) return;
    try {
      gone_(connection->outbox());
    } catch (const std::exception& error) {
      log_error("a client's going was not dealt with: ", error.what());
    }
  }

  const TcpGatewayOptions options_;
  const Handler handler_;
  const GoneHandler gone_;
  tcp::acceptor acceptor_;
  asio::steady_timer retry_timer_;
  const std::uint16_t port_;
  bool accept_failing_ = false;
  std::set<std::shared_ptr<Connection>> connections_;
};

TcpGateway::TcpGateway(asio::io_context& io, const TcpGatewayOptions& options, Handler handler,
                       GoneHandler gone)
    : impl_(std::make_shared<Impl>(io, options, std::move(handler), std::move(gone))) {
  impl_->accept();
}

TcpGateway::~TcpGateway() { impl_->close(); }

std::uint16_t TcpGateway::port() const { return impl_->port(); }

void TcpGateway::close() { impl_->close(); }

}  // namespace protocol
