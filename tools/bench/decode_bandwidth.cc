// How much of the machine's read bandwidth decoding uses.
//
//   decode_bandwidth MODEL_DIR [THREADS] [PAIRS] [STEPS]
//
// Memory speed wanders on shared machines, so decoding is compared with a plain read of as many
// bytes by the same threads a moment later: PAIRS times STEPS decode steps, then a read probe.
// Prints medians over the pairs; the ratio is the median of each pair's own ratio.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <exception>
#include <memory>
#include <random>
#include <vector>

#include "runner/cpu/anonymous_memory.h"
#include "runner/cpu/cpu_engine.h"
#include "runner/cpu/kernels.h"
#include "tools/bench/read_all.h"

namespace {

// Time that passed, and processor time of all threads: the latter does not count what other
// programs on the machine took.
struct Seconds {
  double wall = 0;
  double processor = 0;
};

class Stopwatch {
 public:
  Seconds seconds() const {
    return {std::chrono::duration<double>(Clock::now() - start_).count(),
            static_cast<double>(std::clock() - processor_start_) / CLOCKS_PER_SEC};
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
  std::clock_t processor_start_ = std::clock();
};

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

// A buffer read from end to end by all threads.
class Probe {
 public:
  Probe(std::size_t bytes, runner::ThreadPool& pool)
      : pool_(pool), memory_(bytes, "the read probe", true) {
    std::memset(memory_.data(), 1, bytes);
  }

  Seconds seconds() {
    const Stopwatch watch;
    runner::ThreadPool::Lease lease(pool_);
    lease.run([this, &lease](int part) {
      const std::size_t share = memory_.bytes() / static_cast<std::size_t>(lease.threads());
      read_all(
          {static_cast<const std::byte*>(memory_.data()) + share * static_cast<std::size_t>(part),
           share});
    });
    return watch.seconds();
  }

 private:
  runner::ThreadPool& pool_;
  runner::AnonymousMemory memory_;
};

struct Pair {
  Seconds decode;  // of one step
  Seconds probe;
};

std::vector<Pair> measure(const runner::CpuModel& model, std::shared_ptr<runner::ThreadPool> pool,
                          int pairs, int steps) {
  const auto engine = runner::make_cpu_engine(model.weights, pool);
  const auto cache = engine->new_cache();
  Probe probe(model.weights->decode_bytes, *pool);
  std::mt19937 random(1);
  std::vector<Pair> result;
  for (int pair = -1; pair < pairs; ++pair) {  // the first brings the weights into memory
    if (cache->length() + steps > cache->capacity()) cache->truncate(0);
    const Stopwatch watch;
    for (int step = 0; step < steps; ++step) {
      const auto token =
          static_cast<runner::TokenId>(random() % static_cast<std::uint32_t>(model.shape.vocab));
      engine->decode({model.embeddings->row(token), model.shape.hidden}, *cache);
    }
    const Seconds all = watch.seconds();
    const Pair measured{{all.wall / steps, all.processor / steps}, probe.seconds()};
    if (pair >= 0) result.push_back(measured);
  }
  return result;
}

int number(int argc, char** argv, int index, int absent) {
  return argc > index ? std::max(1, std::atoi(argv[index])) : absent;
}

int run(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("usage: decode_bandwidth MODEL_DIR [THREADS] [PAIRS] [STEPS]\n", stderr);
    return 2;
  }
  const int threads = number(argc, argv, 2, 2);
  const runner::CpuModel model = runner::load_cpu_model(argv[1], 512);
  const auto pool = std::make_shared<runner::ThreadPool>(threads);
  const std::vector<Pair> pairs =
      measure(model, pool, number(argc, argv, 3, 60), number(argc, argv, 4, 1));

  const double gigabytes = static_cast<double>(model.weights->decode_bytes) / 1e9;
  std::vector<double> decode, probe, ratio, processor_ratio;
  for (const Pair& pair : pairs) {
    decode.push_back(gigabytes / pair.decode.wall);
    probe.push_back(gigabytes / pair.probe.wall);
    ratio.push_back(pair.probe.wall / pair.decode.wall);
    processor_ratio.push_back(pair.probe.processor / pair.decode.processor);
  }
  std::printf("%s, %d threads, %.3f GB of weights a token, %zu pairs\n",
              runner::kernels::instruction_set(), threads, gigabytes, pairs.size());
  std::printf("decode  %6.2f tok/s  %6.2f GB/s\n", median(decode) / gigabytes, median(decode));
  std::printf("probe               %6.2f GB/s\n", median(probe));
  std::printf("ratio   %6.3f (%.3f by processor time)\n", median(ratio), median(processor_ratio));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "decode_bandwidth: %s\n", error.what());
    return 1;
  }
}
