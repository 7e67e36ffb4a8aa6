#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace protocol {

// The server of a URL "http://HOST:PORT".
struct HttpServer {
  std::string host;
  std::uint16_t port = 80;

  std::string url() const { return "http://" + host + ":" + std::to_string(port); }
};

// Reads "http://HOST[:PORT][/]"; other schemes, paths and IPv6 addresses are refused. Throws Error.
HttpServer parse_http_url(std::string_view url);

// What a call may take.
struct HttpLimits {
  std::chrono::milliseconds deadline;              // from connecting to the last byte
  std::size_t most_bytes = std::size_t{4} << 20U;  // of the answer's body
};

// The body of the answer to GET `target` ("/path?query"), over a connection of its own. The body
// ends where Content-Length says or, without one, where the server closes (HTTP/1.0). Blocks; to
// the deadline comes what the system's resolver takes for a host that is neither an address nor
// localhost. Any thread.
//
// Throws Error naming the URL and what happened: nobody listens, no whole answer in time, one that
// is too long or no HTTP, and every status but 200.
std::string http_get(const HttpServer& server, const std::string& target, const HttpLimits& limits);

// The same for POST of a JSON text.
std::string http_post_json(const HttpServer& server, const std::string& target, std::string json,
                           const HttpLimits& limits);

}  // namespace protocol
