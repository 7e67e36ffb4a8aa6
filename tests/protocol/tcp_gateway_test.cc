#include "protocol/tcp_gateway.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/error_code.hpp>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace protocol {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// For everything that happens at all.
constexpr auto kDeadline = 10s;

// Collects what one thread brings, for another to wait for.
template <typename T>
class Mailbox {
 public:
  void put(T item) {
    const std::lock_guard lock(mutex_);
    items_.push_back(std::move(item));
    changed_.notify_all();
  }

  // The next item; fails the test and returns a default one when none comes in time.
  T take(Clock::duration timeout = kDeadline) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, timeout, [&] { return !items_.empty(); })) {
      ADD_FAILURE() << "nothing came";
      return {};
    }
    T item = std::move(items_.front());
    items_.erase(items_.begin());
    return item;
  }

  std::size_t size() {
    const std::lock_guard lock(mutex_);
    return items_.size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<T> items_;
};

std::string line_of(const std::string& request_id) {
  Reply reply;
  reply.request_id = request_id;
  reply.work_id = "sys";
  return serialize(reply, 1);
}

std::string request_of(const std::string& request_id, const std::string& action) {
  return R"({"request_id":")" + request_id + R"(","work_id":"sys","action":")" + action + "\"}";
}

// A gateway with its thread. Requests with the action `echo` are answered at once; `throw` throws;
// all others are left to the test, with their sinks.
class Server {
 public:
  explicit Server(TcpGatewayOptions options = {}) {
    options.port = 0;
    gateway_.emplace(
        io_, options,
        [this](Request request, ReplySinkPtr sink) {
          if (request.action == "throw") throw std::runtime_error("thrown on purpose");
          if (request.action == "echo") return sink->send(line_of(request.request_id));
          held.put({std::move(request), std::move(sink)});
        },
        [this](const ReplySinkPtr& sink) { gone.put(sink); });
    thread_ = std::thread([this] { io_.run(); });
  }

  ~Server() { stop(); }

  // Closes the gateway and waits for the thread to end by itself.
  void stop() {
    if (!thread_.joinable()) return;
    boost::asio::post(io_, [this] { gateway_->close(); });
    thread_.join();
  }

  std::uint16_t port() const { return gateway_->port(); }

  void in_its_thread(std::function<void()> work) {
    std::promise<void> done;
    boost::asio::post(io_, [&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }

  struct Held {
    Request request;
    ReplySinkPtr sink;
  };
  Mailbox<Held> held;
  Mailbox<ReplySinkPtr> gone;

 private:
  boost::asio::io_context io_;
  std::optional<TcpGateway> gateway_;
  std::thread thread_;
};

class Client {
 public:
  Client() : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const timeval timeout{std::chrono::seconds(kDeadline).count(), 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  }
  explicit Client(const Server& server) : Client() { connect(server); }
  ~Client() { close(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void connect(const Server& server) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server.port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }

  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      ASSERT_GT(sent, 0) << "cannot send";
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

  // Everything up to the next newline; "(end)" at the end of the stream, "(broken)" at an error.
  std::string read_line() {
    while (true) {
      const std::size_t newline = received_.find('\n');
      if (newline != std::string::npos) {
        std::string line = received_.substr(0, newline + 1);
        received_.erase(0, newline + 1);
        return line;
      }
      if (const std::string problem = receive(); !problem.empty()) return problem;
    }
  }

  // The next byte that is not part of a line yet.
  char read_byte() {
    while (received_.empty()) {
      if (!receive().empty()) return '\0';
    }
    const char byte = received_.front();
    received_.erase(0, 1);
    return byte;
  }

  std::string ask(const std::string& request) {
    send(request);
    return read_line();
  }

  void end_input() { ::shutdown(socket_, SHUT_WR); }

  void close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }

  // Closes without a word of farewell but a reset.
  void reset() {
    const linger now{1, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }

  int handle() const { return socket_; }

 private:
  std::string receive() {
    char bytes[4096];
    const ssize_t count = ::recv(socket_, bytes, sizeof bytes, 0);
    if (count == 0) return "(end)";
    if (count < 0) return "(broken)";
    received_.append(bytes, static_cast<std::size_t>(count));
    return "";
  }

  int socket_;
  std::string received_;
};

// ---- Listening

TEST(TcpGateway, SaysWhereItCannotListenAndWhy) {
  Server server;
  boost::asio::io_context io;
  TcpGatewayOptions options;
  options.port = server.port();
  try {
    TcpGateway second(io, options, {}, {});
    FAIL() << "listened on a port in use";
  } catch (const Error& error) {
    EXPECT_EQ(error.what(), "cannot listen on 127.0.0.1:" + std::to_string(server.port()) +
                                ": Address already in use");
  }
  options.listen = "no such host";
  EXPECT_THROW(TcpGateway(io, options, {}, {}), Error);
}

TEST(TcpGateway, TakesHostNames) {
  TcpGatewayOptions options;
  options.listen = "localhost";
  Server server(options);
  EXPECT_NE(server.port(), 0);
}

// ---- Requests and replies

TEST(TcpGateway, AnswersEachRequestInOrder) {
  Server server;
  Client client(server);
  EXPECT_EQ(client.ask(request_of("1", "echo")), line_of("1"));
  client.send(request_of("2", "echo") + request_of("3", "echo") + "\r\n" + request_of("4", "echo"));
  for (const char* id : {"2", "3", "4"}) EXPECT_EQ(client.read_line(), line_of(id));
  for (const char byte : request_of("5", "echo")) client.send(std::string(1, byte));
  EXPECT_EQ(client.read_line(), line_of("5"));
}

TEST(TcpGateway, GivesOneSinkToAllRequestsOfAConnection) {
  Server server;
  Client first(server);
  Client second(server);
  first.send(request_of("1", "hold") + request_of("2", "hold"));
  const ReplySinkPtr one = server.held.take().sink;
  const ReplySinkPtr two = server.held.take().sink;
  second.send(request_of("3", "hold"));
  const ReplySinkPtr three = server.held.take().sink;
  EXPECT_EQ(one, two);
  EXPECT_NE(one, three);
  three->send(line_of("3"));
  one->send(line_of("1"));
  EXPECT_EQ(first.read_line(), line_of("1"));
  EXPECT_EQ(second.read_line(), line_of("3"));
}

// The error code and ids of a line that the gateway itself wrote.
std::string outline(const std::string& line) {
  const auto part = [&](std::string_view begin, std::string_view end) {
    const std::size_t at = line.find(begin);
    return at == std::string::npos ? line : line.substr(at, line.find(end, at) - at);
  };
  return part("\"code\"", ",") + " " + part("\"request_id\"", "}");
}

TEST(TcpGateway, AnswersWhatIsNoRequest) {
  Server server;
  Client client(server);
  const std::string reset = R"("code":-1 "request_id":"0","work_id":"sys")";
  const std::string format = R"("code":-2 "request_id":"0","work_id":"sys")";
  const std::string format_7 = R"("code":-2 "request_id":"7","work_id":"sys")";
  EXPECT_EQ(outline(client.ask("}")), reset);
  EXPECT_EQ(outline(client.ask("{nonsense}")), format);
  EXPECT_EQ(outline(client.ask(R"({"request_id":7,"work_id":"sys","action":"echo"})")), format);
  EXPECT_EQ(outline(client.ask(R"({"request_id":"7","action":"echo"})")), format_7);
  EXPECT_EQ(outline(client.ask("{\"request_id\":\"\xff\"}")), format);
  EXPECT_EQ(outline(client.ask("{\"BON\":2,\"request_id\":\"7\",\"work_id\":\"\",\"action\":\"\"}"
                               "\n}}")),
            format_7);
  EXPECT_EQ(client.ask("\x01\xfe binary [garbage] " + request_of("8", "echo")), line_of("8"));
}

TEST(TcpGateway, SkipsAFrameOverTheLimitAndGoesOn) {
  TcpGatewayOptions options;
  options.max_frame_bytes = std::size_t{1} << 20;
  Server server(options);
  Client client(server);
  client.send(R"({"data":")" + std::string(std::size_t{20} << 20, '{'));
  EXPECT_EQ(outline(client.read_line()), R"("code":-1 "request_id":"0","work_id":"sys")");
  Client other(server);
  EXPECT_EQ(other.ask(request_of("1", "echo")), line_of("1"));
  EXPECT_EQ(client.ask("\"}" + request_of("2", "echo")), line_of("2"));
}

TEST(TcpGateway, PassesRawBytesOnAsBase64) {
  Server server;
  Client client(server);
  client.send(
      "{\"RAW\":3,\"request_id\":\"1\",\"work_id\":\"llm.1000\",\"action\":\"inference\"}"
      "\n\xff}{");
  EXPECT_EQ(server.held.take().request.data, "/317");
}

TEST(TcpGateway, ClosesTheConnectionWhoseRequestThrew) {
  Server server;
  Client client(server);
  Client other(server);
  EXPECT_EQ(client.ask(request_of("1", "throw")), "(end)");
  server.gone.take();
  EXPECT_EQ(other.ask(request_of("2", "echo")), line_of("2"));
}

// ---- Sinks

// What the kernel tells (linux/tcp.h); the C library's struct ends earlier.
struct KernelTcpInfo {
  tcp_info known;
  std::uint64_t pacing_rate, max_pacing_rate, bytes_acked, bytes_received;
  std::uint32_t segs_out, segs_in, notsent_bytes, min_rtt, data_segs_in;
};

TEST(TcpGateway, WritesEachLineInASegmentOfItsOwn) {
  Server server;
  Client client(server);
  client.send(request_of("1", "hold"));
  const ReplySinkPtr sink = server.held.take().sink;
  constexpr int kLines = 5;
  server.in_its_thread([&] {  // so that all are queued before the first is written
    for (int i = 0; i < kLines; ++i) sink->send(line_of(std::to_string(i)));
  });
  for (int i = 0; i < kLines; ++i) EXPECT_EQ(client.read_line(), line_of(std::to_string(i)));
  KernelTcpInfo info{};
  socklen_t info_bytes = sizeof info;
  ASSERT_EQ(::getsockopt(client.handle(), IPPROTO_TCP, TCP_INFO, &info, &info_bytes), 0);
  if (info_bytes < sizeof info) GTEST_SKIP() << "the kernel is an emulator that does not tell";
  EXPECT_EQ(info.data_segs_in, kLines);
}

TEST(TcpGateway, KeepsTheOrderOfEveryThreadThatSends) {
  Server server;
  Client client(server);
  client.send(request_of("1", "hold"));
  const ReplySinkPtr sink = server.held.take().sink;
  constexpr int kThreads = 4;
  constexpr int kLines = 500;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&sink, t] {
      for (int i = 0; i < kLines; ++i)
        sink->send(std::to_string(t) + " " + std::to_string(i) + "\n");
    });
  }
  int next[kThreads] = {};
  for (int n = 0; n < kThreads * kLines; ++n) {
    const std::string line = client.read_line();
    const int thread = line[0] - '0';
    ASSERT_TRUE(thread >= 0 && thread < kThreads) << line;
    EXPECT_EQ(line, std::to_string(thread) + " " + std::to_string(next[thread]++) + "\n");
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(TcpGateway, WritesAllToAReaderThatTakesItsTime) {
  Server server;
  Client client(server);
  client.send(request_of("1", "hold"));
  const ReplySinkPtr sink = server.held.take().sink;
  const std::string line = std::string(65'535, 'x') + "\n";
  constexpr int kLines = 60;  // just under the limit, and more than the kernel's buffers hold
  for (int i = 0; i < kLines; ++i) sink->send(line);
  for (int i = 0; i < kLines; ++i) EXPECT_EQ(client.read_line(), line);
}

TEST(TcpGateway, CutsOffAClientThatNeverReads) {
  Server server;
  Client lazy(server);
  Client other(server);
  lazy.send(request_of("1", "hold"));
  const ReplySinkPtr sink = server.held.take().sink;
  // Each line waits for an answer to the other client, so that the queue does not merely fill
  // faster than it can be written. The kernel takes some megabytes before it fills.
  const std::string line = std::string(65'535, 'x') + "\n";
  for (int lines = 0; !sink->closed() && lines < 4096; ++lines) {
    sink->send(line);
    ASSERT_EQ(other.ask(request_of("2", "echo")), line_of("2"));
  }
  EXPECT_EQ(server.gone.take(), sink);
  EXPECT_TRUE(sink->closed());
}

TEST(TcpGateway, SinksOutliveEverything) {
  ReplySinkPtr sink;
  {
    Server server;
    Client client(server);
    client.send(request_of("1", "hold"));
    sink = server.held.take().sink;
    EXPECT_FALSE(sink->closed());
  }
  EXPECT_TRUE(sink->closed());
  sink->send("into the void\n");
}

// ---- Clients that go

TEST(TcpGateway, NoticesACloseInMidStream) {
  Server server;
  Client client(server);
  client.send(request_of("1", "hold"));
  const ReplySinkPtr sink = server.held.take().sink;
  sink->send(line_of("1"));
  EXPECT_EQ(client.read_line(), line_of("1"));
  client.close();
  const auto closed_at = Clock::now();
  EXPECT_EQ(server.gone.take(), sink);
  EXPECT_LT(Clock::now() - closed_at, 2s);
  EXPECT_TRUE(sink->closed());
  sink->send(line_of("2"));
}

TEST(TcpGateway, NoticesACloseWithRepliesUnread) {
  Server server;
  Client client(server);
  client.send(request_of("1", "hold"));
  const ReplySinkPtr sink = server.held.take().sink;
  sink->send(line_of("1"));
  EXPECT_EQ(client.read_byte(), '{');
  sink->send(line_of("2"));
  client.close();
  EXPECT_EQ(server.gone.take(2s), sink);
}

TEST(TcpGateway, NoticesAReset) {
  Server server;
  Client client(server);
  client.send(request_of("1", "hold"));
  const ReplySinkPtr sink = server.held.take().sink;
  client.reset();
  EXPECT_EQ(server.gone.take(2s), sink);
}

TEST(TcpGateway, AnswersAClientThatOnlyStoppedSending) {
  Server server;
  Client client(server);
  client.send(request_of("1", "echo") + request_of("2", "echo"));
  client.end_input();
  EXPECT_EQ(client.read_line(), line_of("1"));
  EXPECT_EQ(client.read_line(), line_of("2"));
  EXPECT_EQ(client.read_line(), "(end)");
  server.gone.take();
}

TEST(TcpGateway, KeepsAClientThatOnlyStoppedSendingWhileARequestIsHeld) {
  Server server;
  Client client(server);
  client.send(request_of("1", "hold"));
  client.end_input();
  ReplySinkPtr sink = server.held.take().sink;
  // Two spaces: the first would have broken the connection of a client that had gone.
  EXPECT_EQ(client.read_byte(), ' ');
  EXPECT_EQ(client.read_byte(), ' ');
  EXPECT_FALSE(sink->closed());
  sink->send(line_of("1"));
  sink->send(line_of("2"));
  sink.reset();
  EXPECT_EQ(client.read_line(), line_of("1"));
  EXPECT_EQ(client.read_line(), line_of("2"));
  EXPECT_EQ(client.read_line(), "(end)");
  EXPECT_NE(server.gone.take(), nullptr);
}

TEST(TcpGateway, SendsNothingOfItsOwnToAClientThatMayStillSend) {
  Server server;
  Client still(server);
  Client ended(server);
  still.send(request_of("1", "hold"));
  ended.send(request_of("2", "hold"));
  std::vector<ReplySinkPtr> sinks = {server.held.take().sink, server.held.take().sink};
  ended.end_input();
  EXPECT_EQ(ended.read_byte(), ' ');
  char byte;
  EXPECT_EQ(::recv(still.handle(), &byte, 1, MSG_DONTWAIT), -1);
}

TEST(TcpGateway, TellsOfEachGoingOnce) {
  Server server;
  std::set<ReplySinkPtr> sinks;
  std::set<ReplySinkPtr> gone;
  {
    Client clients[3];
    for (Client& client : clients) {
      client.connect(server);
      client.send(request_of("1", "hold") + request_of("2", "hold"));
      sinks.insert(server.held.take().sink);
      sinks.insert(server.held.take().sink);
    }
  }
  for (int i = 0; i < 3; ++i) gone.insert(server.gone.take());
  EXPECT_EQ(gone, sinks);
  server.stop();
  EXPECT_EQ(server.gone.size(), 0u);
}

// ---- Limits and shutdown

TEST(TcpGateway, RefusesOneClientTooMany) {
  TcpGatewayOptions options;
  options.max_connections = 2;
  Server server(options);
  Client first(server);
  Client second(server);
  EXPECT_EQ(first.ask(request_of("1", "echo")), line_of("1"));
  EXPECT_EQ(second.ask(request_of("2", "echo")), line_of("2"));
  {
    Client third(server);
    EXPECT_EQ(outline(third.read_line()), R"("code":-10 "request_id":"0","work_id":"sys")");
    EXPECT_EQ(third.read_line(), "(end)");
  }
  first.close();
  server.gone.take();
  Client fourth(server);
  EXPECT_EQ(fourth.ask(request_of("4", "echo")), line_of("4"));
}

// Puts what is logged into a mailbox.
class MailboxSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit MailboxSink(Mailbox<std::string>& mailbox) : mailbox_(mailbox) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    mailbox_.put(std::string(message.payload.begin(), message.payload.end()));
  }
  void flush_() override {}

  Mailbox<std::string>& mailbox_;
};

// Takes the log for a mailbox while it lives. REQUIRES: nothing else logs at its two ends.
class CapturedLog {
 public:
  CapturedLog() {
    spdlog::set_default_logger(
        std::make_shared<spdlog::logger>("test", std::make_shared<MailboxSink>(lines)));
  }
  ~CapturedLog() { spdlog::set_default_logger(before_); }
  CapturedLog(const CapturedLog&) = delete;
  CapturedLog& operator=(const CapturedLog&) = delete;

  Mailbox<std::string> lines;

 private:
  const std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
};

TEST(TcpGateway, GoesOnAcceptingAfterRunningOutOfFileDescriptors) {
  CapturedLog log;
  Server server;
  Client client;  // its descriptor is taken before the limit
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int next_free = ::dup(client.handle());
  ::close(next_free);
  rlimit tight = before;
  tight.rlim_cur = static_cast<rlim_t>(next_free);
  ::setrlimit(RLIMIT_NOFILE, &tight);
  client.connect(server);
  client.send(request_of("1", "echo"));
  EXPECT_NE(log.lines.take().find("Too many open files"), std::string::npos);
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(client.read_line(), line_of("1"));
  EXPECT_EQ(log.lines.size(), 0u);  // one line, however long it lasted
}

TEST(TcpGateway, HandsOverWhatIsQueuedWhenItCloses) {
  Server server;
  Client client(server);
  client.send(request_of("1", "hold"));
  const ReplySinkPtr sink = server.held.take().sink;
  for (int i = 0; i < 100; ++i) sink->send(line_of(std::to_string(i)));
  server.stop();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(client.read_line(), line_of(std::to_string(i)));
  EXPECT_EQ(client.read_line(), "(end)");
}

TEST(TcpGateway, ClosesWithoutWaitingForAClientThatNeverReads) {
  Server server;
  Client lazy(server);
  Client half_closed(server);
  lazy.send(request_of("1", "hold"));
  half_closed.send(request_of("2", "hold"));
  half_closed.end_input();
  const ReplySinkPtr sinks[] = {server.held.take().sink, server.held.take().sink};
  for (int i = 0; i < 60; ++i) sinks[0]->send(std::string(65'536, 'x'));
  const auto begin = Clock::now();
  server.stop();
  EXPECT_LT(Clock::now() - begin, 1s);
}

}  // namespace
}  // namespace protocol
