#include "protocol/http_client.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <charconv>
#include <utility>
#include <vector>

#include "protocol/error.h"

namespace protocol {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

[[noreturn]] void fail_call(const std::string& what, const std::string& why) {
  throw Error(WireCode::kModelRun, what + ": " + why);
}

// One call. Everything is asynchronous inside, because only then can it be given up in time.
class HttpCall {
 public:
  HttpCall(const HttpServer& server, std::string target, const HttpLimits& limits)
      : server_(server),
        what_(server.url() + target),
        target_(std::move(target)),
        limits_(limits),
        end_(std::chrono::steady_clock::now() + limits.deadline) {}

  std::string run(http::verb method, std::string json) {
    const auto addresses = find_addresses();
    await("cannot connect", [&](const auto& done) {
      asio::async_connect(socket_, addresses,
                          [done](error_code error, const tcp::endpoint&) { done(error); });
    });
    http::request<http::string_body> request(method, target_, 11);
    request.set(http::field::host, server_.host + ":" + std::to_string(server_.port));
    request.set(http::field::connection, "close");
    if (method == http::verb::post) {
      request.set(http::field::content_type, "application/json");
      request.body() = std::move(json);
      request.prepare_payload();
    }
    await("the request could not be sent", [&](const auto& done) {
      http::async_write(socket_, request, [done](error_code error, std::size_t) { done(error); });
    });
    http::response_parser<http::string_body> parser;
    parser.body_limit(limits_.most_bytes);
    boost::beast::flat_buffer buffer;
    await("no answer", [&](const auto& done) {
      http::async_read(socket_, buffer, parser,
                       [done](error_code error, std::size_t) { done(error); });
    });
    if (parser.get().result_int() != 200) {
      fail_call(what_, "HTTP status " + std::to_string(parser.get().result_int()));
    }
    return std::move(parser.get().body());
  }

 private:
  std::vector<tcp::endpoint> find_addresses() {
    // Not left to /etc/hosts, and the way most servers listen first.
    if (server_.host == "localhost") {
      return {{asio::ip::address_v4::loopback(), server_.port},
              {asio::ip::address_v6::loopback(), server_.port}};
    }
    error_code error;
    tcp::resolver resolver(context_);
    const auto found = resolver.resolve(server_.host, std::to_string(server_.port), error);
    if (error) fail_call(what_, "no address of " + server_.host + ": " + error.message());
    std::vector<tcp::endpoint> addresses;
    for (const auto& entry : found) addresses.push_back(entry.endpoint());
    return addresses;
  }

  // Starts an operation and waits until it calls `done`, or the deadline.
  template <typename Start>
  void await(const char* failure, const Start& start) {
    error_code result = asio::error::would_block;
    start([&result](error_code error) { result = error; });
    context_.restart();
    context_.run_until(end_);
    const bool too_late = result == asio::error::would_block;
    if (too_late) {  // what was started ends before what it uses goes
      error_code ignored;
      socket_.close(ignored);
      context_.restart();
      context_.run();
    }
    if (too_late) {
      fail_call(what_, std::string(failure) + " within " +
                           std::to_string(limits_.deadline.count()) + " ms");
    }
    if (result == http::error::body_limit) {
      fail_call(what_, "the answer has more than " + std::to_string(limits_.most_bytes) + " bytes");
    }
    if (result) fail_call(what_, std::string(failure) + ": " + result.message());
  }

  const HttpServer& server_;
  const std::string what_;
  const std::string target_;
  const HttpLimits limits_;
  const std::chrono::steady_clock::time_point end_;
  asio::io_context context_;
  tcp::socket socket_{context_};
};

}  // namespace

HttpServer parse_http_url(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  const auto refuse = [url] {
    throw Error(WireCode::kModelRun,
                "\"" + std::string(url) + "\" is not a URL of the form http://HOST:PORT");
  };
  std::string_view rest = url;
  if (!rest.starts_with(kScheme)) refuse();
  rest.remove_prefix(kScheme.size());
  if (rest.ends_with('/')) rest.remove_suffix(1);
  HttpServer server;
  const std::size_t colon = rest.find(':');
  server.host = rest.substr(0, colon);
  if (colon != std::string_view::npos) {
    const std::string_view port = rest.substr(colon + 1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), server.port);
    if (error != std::errc() || end != port.data() + port.size() || server.port == 0) refuse();
  }
  // What else a URL may hold, and what must never get into a header.
  constexpr std::string_view kHostCharacters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
  if (server.host.empty() || server.host.find_first_not_of(kHostCharacters) != std::string::npos) {
    refuse();
  }
  return server;
}

std::string http_get(const HttpServer& server, const std::string& target,
                     const HttpLimits& limits) {
  return HttpCall(server, target, limits).run(http::verb::get, "");
}

std::string http_post_json(const HttpServer& server, const std::string& target, std::string json,
                           const HttpLimits& limits) {
  return HttpCall(server, target, limits).run(http::verb::post, std::move(json));
}

}  // namespace protocol
