#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <vector>

namespace runner {

// A contiguous share of work items.
struct Range {
  int first = 0;
  int last = 0;  // one past the end
  int count() const { return last - first; }
  friend bool operator==(Range, Range) = default;
};

// The part-th of `parts` nearly equal shares of 0..items-1, cut at multiples of `multiple`.
// Depends on nothing but its arguments. REQUIRES: 0 <= part < parts, multiple >= 1.
Range share(int items, int part, int parts, int multiple = 1);

// The process's compute threads, shared by all CPU engines. A user holds the pool for one engine
// call at a time (Lease); leases are granted in the order they were asked for, so that engines
// alternate and none starves.
//
// The thread that holds the lease works too: `threads` of 1 starts no thread at all. Workers wait
// for the next piece by spinning for some tens of microseconds and then sleep, so that an idle
// process uses no CPU.
class ThreadPool {
 public:
  // REQUIRES: threads >= 1.
  explicit ThreadPool(int threads);
  // REQUIRES: no lease is held or waited for.
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }

  // The right to run work, until destruction. Not for passing between threads.
  class Lease {
   public:
    // Waits for its turn.
    explicit Lease(ThreadPool& pool);
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    int threads() const { return pool_.threads_; }

    // Calls body(part) once for every part in 0..threads()-1, each on its own thread, part 0 on
    // this one, and returns when all are done. What the bodies wrote is visible here afterwards.
    // REQUIRES: body does not throw.
    template <typename Body>
    void run(const Body& body) {
      pool_.run([](const void* object, int part) { (*static_cast<const Body*>(object))(part); },
                &body);
    }

   private:
    ThreadPool& pool_;
  };

 private:
  using Call = void (*)(const void* body, int part);

  void run(Call call, const void* body);
  void work(int part);

  // Each on its own cache line: written by one side and read in a loop by the other.
  alignas(64) std::atomic<std::uint32_t> generation_{0};  // one more for every piece of work
  alignas(64) std::atomic<std::uint32_t> unfinished_{0};  // workers still in this piece
  alignas(64) std::atomic<std::uint32_t> next_ticket_{0};
  std::atomic<std::uint32_t> serving_{0};

  int threads_;
  Call call_ = nullptr;  // with body_: this piece of work; nullptr tells the workers to end
  const void* body_ = nullptr;
  std::vector<std::jthread> workers_;  // last: joined before the rest is gone
};

}  // namespace runner
