#include "protocol/zmq_loop.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <deque>
#include <exception>
#include <future>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>
#include <zmq.hpp>

#include "protocol/log.h"

namespace protocol {
namespace {

using Clock = std::chrono::steady_clock;

// Wakes a thread that polls.
class WakeUp {
 public:
  WakeUp() : descriptor_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  }
  ~WakeUp() { ::close(descriptor_); }
  WakeUp(const WakeUp&) = delete;
  WakeUp& operator=(const WakeUp&) = delete;

  int descriptor() const { return descriptor_; }
  void ring() { (void)::eventfd_write(descriptor_, 1); }  // fails only when it rings already
  void hush() {
    eventfd_t count = 0;
    (void)::eventfd_read(descriptor_, &count);
  }

 private:
  const int descriptor_;
};

void run_logged(const ZmqLoop::Job& job) {
  try {
    job();
  } catch (const std::exception& error) {
    log_error("ZeroMQ: ", error.what());
  }
}

}  // namespace

class ZmqLoop::Impl {
 public:
  Impl() : thread_([this] { loop(); }) {}

  ~Impl() {
    post([this] { ending_ = true; });
    thread_.join();
  }

  bool is_own_thread() const { return std::this_thread::get_id() == thread_.get_id(); }

  void post(Job job) {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
    if (jobs_.size() == 1) wake_up_.ring();
  }

  void post_after(std::chrono::milliseconds delay, Job job) {
    timers_.emplace(Clock::now() + delay, std::move(job));
  }

  void watch(zmq::socket_t& socket, Job on_readable) {
    watched_.push_back({&socket, std::make_shared<Job>(std::move(on_readable))});
  }

  void unwatch(zmq::socket_t& socket) {
    std::erase_if(watched_, [&](const Watched& each) { return each.socket == &socket; });
  }

  zmq::context_t context_;

 private:
  struct Watched {
    zmq::socket_t* socket;
    std::shared_ptr<Job> on_readable;
  };

  void loop() {
    while (!ending_) {
      wait();
      run_jobs();
      run_timers();
      run_callbacks();
    }
  }

  void wait() {
    std::vector<zmq::pollitem_t> items{{nullptr, wake_up_.descriptor(), ZMQ_POLLIN, 0}};
    for (const Watched& each : watched_) items.push_back({each.socket->handle(), 0, ZMQ_POLLIN, 0});
    std::chrono::milliseconds timeout{-1};
    if (!timers_.empty()) {
      const auto left = timers_.begin()->first - Clock::now();
      timeout = std::max(std::chrono::ceil<std::chrono::milliseconds>(left),
                         std::chrono::milliseconds{0});
    }
    readable_.clear();
    try {
      zmq::poll(items, timeout);
    } catch (const zmq::error_t& error) {
      if (error.num() != EINTR) throw;
    }
    if (items[0].revents != 0) wake_up_.hush();
    for (std::size_t i = 1; i < items.size(); ++i) {
      if (items[i].revents != 0) readable_.push_back(watched_[i - 1]);
    }
  }

  void run_jobs() {
    std::deque<Job> jobs;
    {
      const std::lock_guard lock(mutex_);
      jobs.swap(jobs_);
    }
    for (const Job& job : jobs) run_logged(job);
  }

  void run_timers() {
    while (!timers_.empty() && timers_.begin()->first <= Clock::now()) {
      const auto timer = timers_.extract(timers_.begin());
      run_logged(timer.mapped());
    }
  }

  void run_callbacks() {
    for (const Watched& ready : readable_) {
      // An earlier job or callback may have ended it.
      const bool is_watched = std::any_of(watched_.begin(), watched_.end(), [&](const auto& each) {
        return each.on_readable == ready.on_readable;
      });
      if (is_watched) run_logged(*ready.on_readable);
    }
  }

  WakeUp wake_up_;
  std::mutex mutex_;
  std::deque<Job> jobs_;

  // The thread's own:
  std::vector<Watched> watched_;
  std::vector<Watched> readable_;
  std::multimap<Clock::time_point, Job> timers_;
  bool ending_ = false;

  std::thread thread_;  // last: it uses everything above
};

ZmqLoop::ZmqLoop() : impl_(std::make_unique<Impl>()) {}
ZmqLoop::~ZmqLoop() = default;

void ZmqLoop::post(Job job) { impl_->post(std::move(job)); }

void ZmqLoop::run(const Job& job) {
  if (impl_->is_own_thread()) return job();
  std::promise<void> done;
  impl_->post([&] {
    try {
      job();
      done.set_value();
    } catch (...) {
      done.set_exception(std::current_exception());
    }
  });
  done.get_future().get();
}

zmq::context_t& ZmqLoop::context() { return impl_->context_; }

void ZmqLoop::watch(zmq::socket_t& socket, Job on_readable) {
  impl_->watch(socket, std::move(on_readable));
}

void ZmqLoop::unwatch(zmq::socket_t& socket) { impl_->unwatch(socket); }

void ZmqLoop::post_after(std::chrono::milliseconds delay, Job job) {
  impl_->post_after(delay, std::move(job));
}

void limit_queues(zmq::socket_t& socket) {
  constexpr int kLines = 20000;
  socket.set(zmq::sockopt::sndhwm, kLines);
  socket.set(zmq::sockopt::rcvhwm, kLines);
  socket.set(zmq::sockopt::linger, 500);
}

}  // namespace protocol
