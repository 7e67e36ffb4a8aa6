#include "protocol/zmq_host.h"

#include <atomic>
#include <future>
#include <map>
#include <mutex>
#include <set>
#include <utility>
#include <variant>
#include <zmq.hpp>

#include "protocol/log.h"
#include "protocol/message.h"
#include "protocol/zmq_connection.h"
#include "protocol/zmq_loop.h"
#include "protocol/zmq_reply_sinks.h"
#include "protocol/zmq_rpc.h"
#include "protocol/zmq_socket_file.h"

namespace protocol {
namespace {

using std::chrono::milliseconds;

// A subscription is in force when its publisher has read it; the publisher tells nobody. After
// the handshake it is on its way,
constexpr milliseconds kSubscriptionGrace{30};
// and a publisher that takes longer than this for the handshake is not waited for.
constexpr milliseconds kHandshakeTimeout{1000};
// How long llm-sys may take to close what it publishes a task's inferences on, once it has
// released it.
constexpr milliseconds kClosingTimeout{200};
// What llm-sys gets while the program ends.
constexpr milliseconds kHurriedTimeout{300};

// Fulfils a promise once, from whichever comes first.
class Latch {
 public:
  void open() {
    if (!std::exchange(is_open_, true)) promise_.set_value();
  }
  void fail(std::exception_ptr error) {
    if (!std::exchange(is_open_, true)) promise_.set_exception(std::move(error));
  }
  std::future<void> future() { return promise_.get_future(); }

 private:
  std::promise<void> promise_;
  bool is_open_ = false;
};

// Takes all messages that wait at a socket.
template <typename OnMessage>
void take_messages(zmq::socket_t& socket, const OnMessage& on_message) {
  zmq::message_t message;
  while (socket.recv(message, zmq::recv_flags::dontwait)) on_message(message.to_string_view());
}

}  // namespace

std::optional<PublishedRequest> parse_published_request(std::string_view message) {
  constexpr std::string_view kOpening = "{\"zmq_com\":\"";
  if (message.substr(0, kOpening.size()) != kOpening) return std::nullopt;
  message.remove_prefix(kOpening.size());
  const std::size_t end = message.find("\",");
  if (end == std::string_view::npos) return std::nullopt;
  return PublishedRequest{std::string(message.substr(0, end)),
                          "{" + std::string(message.substr(end + 2))};
}

class ZmqHost::Impl {
 public:
  Impl(const ZmqHostOptions& options, Handlers handlers)
      : options_(options), handlers_(std::move(handlers)) {
    std::error_code error;
    std::filesystem::create_directories(options_.socket_root / "llm", error);
    if (error) {
      throw Error(
          WireCode::kNotAvailable,
          "cannot make " + (options_.socket_root / "llm").string() + ": " + error.message());
    }
    sinks_.emplace(loop_, handlers_.gone, options_.idle_time);
  }

  ~Impl() {
    loop_.run([this] { tasks_.clear(); });
  }

  void take_request(const std::string& reply_url, std::string_view json) {
    const ReplySinkPtr client = sinks_->get(reply_url);
    std::variant<Request, BadRequest> parsed = parse_request(json);
    if (const auto* bad = std::get_if<BadRequest>(&parsed)) {
      log_warn(reply_url, ": not a request: ", bad->detail);
      Reply reply;
      reply.request_id = bad->request_id;
      reply.work_id = "llm";
      reply.error = make_error(WireCode::kJsonFormat, bad->detail);
      return client->send(serialize(reply));
    }
    handlers_.request(std::move(std::get<Request>(parsed)), client);
  }

  void post(std::function<void()> job) { loop_.post(std::move(job)); }

  void hurry() { hurried_ = true; }

  std::string register_task() {
    const auto answer = call_sys("register_unit", "llm");
    if (!answer) throw Error(WireCode::kModelLoading, "llm-sys does not answer");
    const std::optional<RpcRegistration> allotted = parse_rpc_registration(*answer);
    if (!allotted) {
      throw Error(WireCode::kModelLoading, "llm-sys did not allot a task: " + *answer);
    }
    const std::string work_id = "llm." + allotted->number;
    try {
      open_task(work_id, allotted->output_url, allotted->inference_url);
    } catch (...) {
      release_task(work_id);
      throw;
    }
    return work_id;
  }

  void release_task(const std::string& work_id) noexcept {
    try {
      // Until llm-sys knows, clients may send inferences, and must get an answer.
      const auto released = std::make_shared<Latch>();
      const std::future<void> closed = released->future();
      bool is_known = false;
      loop_.run([&] { is_known = close_output(work_id, released); });
      set_subscribed(work_id, false);
      if (!is_known) return;
      if (!call_sys("release_unit", work_id)) {
        log_warn(work_id, ": could not be given back, llm-sys does not answer");
      } else if (!hurried_) {
        closed.wait_for(kClosingTimeout);  // behind the last thing it published
      }
      loop_.run([&] { close_input(work_id); });
    } catch (const std::exception& error) {
      log_error(work_id, ": could not be given back: ", error.what());
    }
  }

  void publish(const std::string& work_id, const std::string& line) {
    if (!has_subscribers(work_id)) return;
    loop_.post([this, work_id, line] {
      const auto task = tasks_.find(work_id);
      if (task != tasks_.end() && task->second->output) {
        (void)task->second->output->send(zmq::buffer(line), zmq::send_flags::dontwait);
      }
    });
  }

  bool has_subscribers(const std::string& work_id) const {
    const std::lock_guard lock(subscribed_mutex_);
    return subscribed_.contains(work_id);
  }

  std::optional<std::string> find_output(const std::string& work_id) {
    std::optional<std::string> url = call_sys("sql_select", work_id + ".out_port");
    if (url && url->empty()) url.reset();
    return url;
  }

  std::unique_ptr<Subscription> subscribe(const std::string& url,
                                          std::function<void(std::string_view)> on_message) {
    return std::make_unique<OutputSubscription>(loop_, url, std::move(on_message));
  }

 private:
  // The sockets of a task; the loop's.
  struct Channels {
    explicit Channels(ZmqLoop& its_loop) : loop(its_loop) {
      output.emplace(loop.context(), zmq::socket_type::xpub);
    }
    ~Channels() {
      close_output();
      if (input) loop.unwatch(input->socket());
    }
    Channels(const Channels&) = delete;
    Channels& operator=(const Channels&) = delete;

    void close_output() {
      if (!output) return;
      loop.unwatch(*output);
      output_file.reset();
      output.reset();
    }

    ZmqLoop& loop;
    std::optional<zmq::socket_t> output;
    std::optional<ZmqSocketFile> output_file;
    std::set<std::string> topics;  // subscribed to
    std::optional<ZmqConnection> input;
    std::shared_ptr<Latch> released;  // opened when llm-sys has closed its end; null in use
  };

  class OutputSubscription : public Subscription {
   public:
    OutputSubscription(ZmqLoop& loop, const std::string& url,
                       std::function<void(std::string_view)> on_message)
        : loop_(loop), on_message_(std::move(on_message)) {
      loop_.run([&] {
        socket_ = std::make_unique<zmq::socket_t>(loop_.context(), zmq::socket_type::sub);
        socket_->set(zmq::sockopt::linger, 0);
        socket_->set(zmq::sockopt::subscribe, "");
        try {
          socket_->connect(url);
        } catch (const zmq::error_t& error) {
          throw Error(WireCode::kLinkFailed, url + ": " + error.what());
        }
        loop_.watch(*socket_, [this] { take_messages(*socket_, on_message_); });
      });
    }
    ~OutputSubscription() override {
      loop_.run([&] {
        loop_.unwatch(*socket_);
        socket_.reset();
      });
    }

   private:
    ZmqLoop& loop_;
    const std::function<void(std::string_view)> on_message_;
    std::unique_ptr<zmq::socket_t> socket_;
  };

  std::optional<std::string> call_sys(const std::string& action, const std::string& payload) {
    return call_rpc(options_.socket_root / "rpc.sys", action, payload,
                    hurried_ ? kHurriedTimeout : options_.sys_timeout);
  }

  // Returns when inferences that llm-sys publishes arrive, or should.
  void open_task(const std::string& work_id, const std::string& output_url,
                 const std::string& input_url) {
    const auto latch = std::make_shared<Latch>();
    loop_.post([=, this] {
      try {
        open_channels(work_id, output_url, input_url, latch);
      } catch (...) {
        latch->fail(std::current_exception());
      }
    });
    std::future<void> opened = latch->future();
    if (opened.wait_for(kHandshakeTimeout) != std::future_status::ready) {
      log_warn(work_id, ": no handshake with ", input_url, " yet");
      return;
    }
    opened.get();
  }

  void open_channels(const std::string& work_id, const std::string& output_url,
                     const std::string& input_url, const std::shared_ptr<Latch>& latch) {
    if (tasks_.contains(work_id)) {
      lose_sys();
      throw Error(WireCode::kModelLoading, "llm-sys has been restarted; ask again");
    }
    Channels& task = *tasks_.emplace(work_id, std::make_unique<Channels>(loop_)).first->second;
    limit_queues(*task.output);
    task.output->bind(output_url);
    task.output_file.emplace(output_url);
    loop_.watch(*task.output, [this, work_id] { read_subscriptions(work_id); });

    ZmqConnection::Events events;
    events.on_ready = [this, latch] {
      loop_.post_after(kSubscriptionGrace, [latch] { latch->open(); });
    };
    events.on_lost = [this, latch, &task] {
      if (task.released) return task.released->open();
      latch->fail(std::make_exception_ptr(Error(WireCode::kModelLoading, "llm-sys has gone")));
      lose_sys();
    };
    task.input.emplace(loop_, ZMQ_SUB, input_url, std::move(events));
    zmq::socket_t& input = task.input->socket();
    loop_.watch(input, [this, &input] { read_requests(input); });
  }

  // False when there is no such task.
  bool close_output(const std::string& work_id, const std::shared_ptr<Latch>& released) {
    const auto task = tasks_.find(work_id);
    if (task == tasks_.end()) return false;
    task->second->close_output();
    task->second->released = released;
    return true;
  }

  void close_input(const std::string& work_id) {
    const auto task = tasks_.find(work_id);
    if (task == tasks_.end()) return;
    if (task->second->input) read_requests(task->second->input->socket());
    tasks_.erase(task);
  }

  void read_requests(zmq::socket_t& input) {
    take_messages(input, [this](std::string_view message) {
      if (const std::optional<PublishedRequest> request = parse_published_request(message)) {
        take_request(request->reply_url, request->json);
      } else {
        log_warn("a published request without reply URL is passed over");
      }
    });
  }

  void read_subscriptions(const std::string& work_id) {
    Channels& task = *tasks_.at(work_id);
    take_messages(*task.output, [&](std::string_view message) {
      if (message.empty()) return;
      const std::string topic(message.substr(1));
      if (message.front() != 0) {
        task.topics.insert(topic);
      } else {
        task.topics.erase(topic);
      }
    });
    set_subscribed(work_id, !task.topics.empty());
  }

  void set_subscribed(const std::string& work_id, bool subscribed) {
    const std::lock_guard lock(subscribed_mutex_);
    if (subscribed) {
      subscribed_.insert(work_id);
    } else {
      subscribed_.erase(work_id);
    }
  }

  // All tasks were allotted by the llm-sys that has gone. Their sockets are closed at once, because
  // the next one will allot the same URLs, to other units too.
  void lose_sys() {
    log_warn("llm-sys has gone, and with it ", tasks_.size(), " tasks");
    tasks_.clear();
    handlers_.sys_lost();
  }

  const ZmqHostOptions options_;
  const Handlers handlers_;
  std::atomic<bool> hurried_ = false;

  mutable std::mutex subscribed_mutex_;
  std::set<std::string> subscribed_;  // work_ids

  ZmqLoop loop_;
  std::map<std::string, std::unique_ptr<Channels>> tasks_;  // the loop's, by work_id
  std::optional<ZmqReplySinks> sinks_;
};

ZmqHost::ZmqHost(const ZmqHostOptions& options, Handlers handlers)
    : impl_(std::make_unique<Impl>(options, std::move(handlers))) {}
ZmqHost::~ZmqHost() = default;

void ZmqHost::take_request(const std::string& reply_url, std::string_view json) {
  impl_->take_request(reply_url, json);
}
void ZmqHost::post(std::function<void()> job) { impl_->post(std::move(job)); }
void ZmqHost::hurry() { impl_->hurry(); }
std::string ZmqHost::register_task() { return impl_->register_task(); }
void ZmqHost::release_task(const std::string& work_id) noexcept { impl_->release_task(work_id); }
void ZmqHost::publish(const std::string& work_id, const std::string& line) {
  impl_->publish(work_id, line);
}
bool ZmqHost::has_subscribers(const std::string& work_id) const {
  return impl_->has_subscribers(work_id);
}
std::optional<std::string> ZmqHost::find_output(const std::string& work_id) {
  return impl_->find_output(work_id);
}
std::unique_ptr<Subscription> ZmqHost::subscribe(const std::string& url,
                                                 std::function<void(std::string_view)> on_message) {
  return impl_->subscribe(url, std::move(on_message));
}

}  // namespace protocol
