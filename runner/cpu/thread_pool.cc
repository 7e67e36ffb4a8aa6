#include "runner/cpu/thread_pool.h"

#include <hwy/cache_control.h>

#include <chrono>

namespace runner {
namespace {

// Longer than the gaps between the pieces of one decode step, far shorter than what a sleep and
// a wake-up cost the step in sum.
constexpr std::chrono::microseconds kSpin{50};

// Returns when `variable` is not `old` any more, with acquire ordering.
void wait_while(const std::atomic<std::uint32_t>& variable, std::uint32_t old) {
  const auto deadline = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 16; ++i) {
      if (variable.load(std::memory_order_acquire) != old) return;
      hwy::Pause();
    }
  } while (std::chrono::steady_clock::now() < deadline);
  variable.wait(old, std::memory_order_acquire);
}

}  // namespace

Range share(int items, int part, int parts, int multiple) {
  const auto cut = [&](int index) {
    const std::int64_t units = (static_cast<std::int64_t>(items) + multiple - 1) / multiple;
    const std::int64_t item = units * index / parts * multiple;
    return static_cast<int>(item < items ? item : items);
  };
  return {cut(part), cut(part + 1)};
}

ThreadPool::ThreadPool(int threads) : threads_(threads) {
  workers_.reserve(static_cast<std::size_t>(threads - 1));
  for (int part = 1; part < threads; ++part) {
    workers_.emplace_back([this, part] { work(part); });
  }
}

ThreadPool::~ThreadPool() {
  call_ = nullptr;
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
}

ThreadPool::Lease::Lease(ThreadPool& pool) : pool_(pool) {
  const std::uint32_t ticket = pool_.next_ticket_.fetch_add(1, std::memory_order_relaxed);
  for (;;) {
    const std::uint32_t serving = pool_.serving_.load(std::memory_order_acquire);
    if (serving == ticket) return;
    pool_.serving_.wait(serving, std::memory_order_acquire);
  }
}

ThreadPool::Lease::~Lease() {
  pool_.serving_.fetch_add(1, std::memory_order_release);
  pool_.serving_.notify_all();
}

void ThreadPool::run(Call call, const void* body) {
  if (threads_ > 1) {
    call_ = call;
    body_ = body;
    unfinished_.store(static_cast<std::uint32_t>(threads_ - 1), std::memory_order_relaxed);
    generation_.fetch_add(1, std::memory_order_release);
    generation_.notify_all();
  }
  call(body, 0);
  if (threads_ > 1) {
    for (;;) {
      const std::uint32_t unfinished = unfinished_.load(std::memory_order_acquire);
      if (unfinished == 0) return;
      wait_while(unfinished_, unfinished);
    }
  }
}

void ThreadPool::work(int part) {
  for (std::uint32_t seen = 0;; ++seen) {
    wait_while(generation_, seen);
    if (call_ == nullptr) return;
    call_(body_, part);
    if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1) unfinished_.notify_one();
  }
}

}  // namespace runner
