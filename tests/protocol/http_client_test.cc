#include "protocol/http_client.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "protocol/error.h"

namespace protocol {
namespace {

using namespace std::chrono_literals;

// Takes one connection on a free port, reads a request, writes `answer` and closes; with
// `closes_late` only once the client has gone.
class OneAnswer {
 public:
  explicit OneAnswer(std::string answer, bool closes_late = false)
      : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t bytes = sizeof address;
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), bytes), 0);
    EXPECT_EQ(listen(listener_, 1), 0);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &bytes);
    server_ = {"localhost", ntohs(address.sin_port)};
    thread_ =
        std::thread([this, closes_late, text = std::move(answer)] { serve(text, closes_late); });
  }
  ~OneAnswer() { join(); }

  const HttpServer& server() const { return server_; }

  // What was asked, once the call is over.
  const std::string& request() {
    join();
    return request_;
  }

 private:
  void join() {
    if (!thread_.joinable()) return;
    shutdown(listener_, SHUT_RDWR);  // where nobody came
    thread_.join();
    close(listener_);
  }

  void serve(const std::string& answer, bool closes_late) {
    const int client = accept(listener_, nullptr, nullptr);
    if (client < 0) return;
    char piece[4096];
    const auto is_whole = [this] {
      const std::size_t head = request_.find("\r\n\r\n");
      if (head == std::string::npos) return false;
      const std::size_t length = request_.find("Content-Length: ");
      return length == std::string::npos ||
             request_.size() - head - 4 >= std::stoul(request_.substr(length + 16));
    };
    while (!is_whole()) {
      const ssize_t bytes = read(client, piece, sizeof piece);
      if (bytes <= 0) break;
      request_.append(piece, static_cast<std::size_t>(bytes));
    }
    for (std::size_t sent = 0; sent < answer.size();) {
      const ssize_t bytes = send(client, answer.data() + sent, answer.size() - sent, MSG_NOSIGNAL);
      if (bytes <= 0) break;
      sent += static_cast<std::size_t>(bytes);
    }
    while (closes_late && read(client, piece, sizeof piece) > 0) {
    }
    close(client);
  }

  int listener_;
  HttpServer server_;
  std::string request_;
  std::thread thread_;
};

constexpr HttpLimits kLimits{10s, 100};

// The message of the error that a GET ends in.
std::string failure_of(const HttpServer& server, const HttpLimits& limits = kLimits) {
  try {
    return "answered: " + http_get(server, "/path", limits);
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(server.url() + "/path: "), std::string::npos);
    return error.what();
  }
}

TEST(HttpClient, BodiesEndAtTheCloseWithoutALength) {
  OneAnswer server("HTTP/1.0 200 OK\r\nServer: Apache\r\n\r\n{\"bos_id\": -1}");
  EXPECT_EQ(http_get(server.server(), "/bos_id?uid=1", kLimits), "{\"bos_id\": -1}");
  EXPECT_EQ(server.request().find("GET /bos_id?uid=1 HTTP/1.1\r\n"), 0U);
}

TEST(HttpClient, BodiesEndWhereTheLengthSays) {
  OneAnswer server("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntext", true);
  EXPECT_EQ(http_get(server.server(), "/", kLimits), "text");
}

TEST(HttpClient, PostsJsonWithItsLength) {
  OneAnswer server("HTTP/1.0 200 OK\r\n\r\n");
  EXPECT_EQ(http_post_json(server.server(), "/encode", "{\"text\":\"é\"}", kLimits), "");
  const std::string& request = server.request();
  EXPECT_EQ(request.find("POST /encode HTTP/1.1\r\n"), 0U);
  EXPECT_NE(request.find("Content-Length: 13\r\n"), std::string::npos);
  EXPECT_NE(request.find("Content-Type: application/json\r\n"), std::string::npos);
  EXPECT_TRUE(request.ends_with("\r\n\r\n{\"text\":\"é\"}"));
}

TEST(HttpClient, ALongBodyIsRefused) {
  OneAnswer at_close("HTTP/1.0 200 OK\r\n\r\n" + std::string(101, 'x'));
  EXPECT_NE(failure_of(at_close.server()).find("more than 100 bytes"), std::string::npos);
  OneAnswer announced("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n", true);
  EXPECT_NE(failure_of(announced.server()).find("more than 100 bytes"), std::string::npos);
  OneAnswer just_not("HTTP/1.0 200 OK\r\n\r\n" + std::string(100, 'x'));
  EXPECT_EQ(http_get(just_not.server(), "/", kLimits).size(), 100U);
}

TEST(HttpClient, WhatIsCutShortIsNoAnswer) {
  OneAnswer in_body("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\ntext");
  EXPECT_NE(failure_of(in_body.server()).find("partial message"), std::string::npos);
  OneAnswer in_header("HTTP/1.0 200 OK\r\nServ");
  EXPECT_NE(failure_of(in_header.server()).find("no answer"), std::string::npos);
  OneAnswer at_once("");
  EXPECT_NE(failure_of(at_once.server()).find("no answer"), std::string::npos);
  OneAnswer other("SSH-2.0-OpenSSH_9.2\r\n\r\n");
  EXPECT_NE(failure_of(other.server()).find("no answer"), std::string::npos);
}

TEST(HttpClient, OtherStatusesAreErrors) {
  OneAnswer server("HTTP/1.0 501 Unsupported method\r\n\r\nno");
  EXPECT_NE(failure_of(server.server()).find("HTTP status 501"), std::string::npos);
}

TEST(HttpClient, GivesUpAtTheDeadline) {
  OneAnswer silent("", true);
  EXPECT_NE(failure_of(silent.server(), {20ms, 100}).find("no answer within 20 ms"),
            std::string::npos);
  OneAnswer slow("HTTP/1.0 200 OK\r\n\r\nbegun", true);
  EXPECT_NE(failure_of(slow.server(), {20ms, 100}).find("no answer within 20 ms"),
            std::string::npos);
}

TEST(HttpClient, SaysThatNobodyListens) {
  HttpServer gone;
  {
    OneAnswer server("");
    gone = server.server();
  }
  EXPECT_NE(failure_of(gone).find("cannot connect: Connection refused"), std::string::npos);
}

TEST(HttpUrl, IsAHostAndAPort) {
  EXPECT_EQ(parse_http_url("http://localhost:8080").url(), "http://localhost:8080");
  EXPECT_EQ(parse_http_url("http://192.168.1.5:1/").url(), "http://192.168.1.5:1");
  EXPECT_EQ(parse_http_url("http://a-b.c").port, 80);
  for (const char* wrong :
       {"", "localhost:8080", "https://a:1", "http://", "http://:80", "http://a:", "http://a:0",
        "http://a:65536", "http://a:80/path", "http://a:8o", "http://a b:80", "http://a\r\n:80"}) {
    EXPECT_THROW(parse_http_url(wrong), Error) << wrong;
  }
}

}  // namespace
}  // namespace protocol
