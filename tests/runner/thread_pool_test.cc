#include "runner/cpu/thread_pool.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <ctime>
#include <numeric>
#include <vector>

using runner::Range;
using runner::share;
using runner::ThreadPool;

namespace {

TEST(Share, CoversAllItemsInOrder) {
  for (const int items : {0, 1, 3, 16, 17, 100, 151936}) {
    for (const int parts : {1, 2, 3, 8, 40}) {
      for (const int multiple : {1, 4, 16}) {
        int next = 0;
        for (int part = 0; part < parts; ++part) {
          const Range range = share(items, part, parts, multiple);
          EXPECT_EQ(range.first, next);
          EXPECT_LE(range.first, range.last);
          EXPECT_TRUE(range.last == items || range.last % multiple == 0);
          next = range.last;
        }
        EXPECT_EQ(next, items);
      }
    }
  }
}

TEST(Share, IsNearlyEqual) {
  for (int part = 0; part < 3; ++part) EXPECT_NEAR(share(1000, part, 3, 4).count(), 333, 4);
}

class ThreadPoolSizes : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolSizes, testing::Values(1, 2, 3, 8));

TEST_P(ThreadPoolSizes, RunsEveryPartOncePerPiece) {
  ThreadPool pool(GetParam());
  ThreadPool::Lease lease(pool);
  std::vector<int> calls(static_cast<std::size_t>(GetParam()));
  for (int piece = 1; piece <= 2000; ++piece) {
    lease.run([&](int part) { ++calls[static_cast<std::size_t>(part)]; });
    // The workers' writes are visible here.
    ASSERT_EQ(calls, std::vector<int>(calls.size(), piece));
  }
}

TEST_P(ThreadPoolSizes, PartsAlwaysRunOnTheSameThreads) {
  ThreadPool pool(GetParam());
  ThreadPool::Lease lease(pool);
  std::vector<std::thread::id> first(static_cast<std::size_t>(GetParam()));
  std::vector<std::thread::id> second = first;
  lease.run([&](int part) { first[static_cast<std::size_t>(part)] = std::this_thread::get_id(); });
  lease.run([&](int part) { second[static_cast<std::size_t>(part)] = std::this_thread::get_id(); });
  EXPECT_EQ(first, second);
  EXPECT_EQ(first[0], std::this_thread::get_id());
}

TEST_P(ThreadPoolSizes, LeasesExcludeEachOther) {
  ThreadPool pool(GetParam());
  std::vector<long> sums(static_cast<std::size_t>(GetParam()));  // unprotected but for the lease
  {
    std::vector<std::jthread> users;
    for (int user = 0; user < 4; ++user) {
      users.emplace_back([&] {
        for (int i = 0; i < 200; ++i) {
          ThreadPool::Lease lease(pool);
          lease.run([&](int part) { ++sums[static_cast<std::size_t>(part)]; });
        }
      });
    }
  }
  EXPECT_EQ(sums, std::vector<long>(sums.size(), 800));
}

TEST(ThreadPoolLease, IsGrantedBesideAUserWhoNeverPauses) {
  ThreadPool pool(2);
  std::atomic<bool> done = false;
  std::jthread greedy([&] {
    while (!done) ThreadPool::Lease(pool).run([](int) {});
  });
  // Would take forever without turns.
  for (int i = 0; i < 100; ++i) ThreadPool::Lease(pool).run([](int) {});
  done = true;
}

TEST(ThreadPoolIdle, UsesNoProcessorTime) {
  ThreadPool pool(4);
  ThreadPool::Lease(pool).run([](int) {});
  const auto processor_seconds = [] { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; };
  // Three spinning workers would take up to 0.6 s of this.
  const double before = processor_seconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_LT(processor_seconds() - before, 0.05);
}

}  // namespace
