#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "main_llm/commands.h"
#include "protocol/json_writer.h"
#include "runner/error.h"
#include "runner/sampler.h"

namespace main_llm {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Spread {
  double median = 0;
  double min = 0;
  double max = 0;
};

Spread spread(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  const double median =
      values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {median, values.front(), values.back()};
}

// Tokens per second of each counted run.
struct Speeds {
  std::vector<double> prefill;
  std::vector<double> decode;
};

class Bench {
 public:
  Bench(const BenchOptions& options, const runner::Model& model)
      : options_(options), model_(model), engine_(model.new_engine()) {
    const int rows = options.prompt_tokens + options.new_tokens;
    if (rows > model.shape.context) {
      throw runner::Error(runner::ErrorCode::kBadOption,
                          std::to_string(rows) +
                              " tokens (prompt and new) do not fit the context "
                              "of " +
                              std::to_string(model.shape.context) + "; raise --context?");
    }
    std::mt19937 random(1);
    for (int i = 0; i < options.prompt_tokens; ++i) {
      append_row(static_cast<runner::TokenId>(random() % static_cast<unsigned>(model.shape.vocab)));
    }
  }

  Speeds measure() {
    Speeds speeds;
    for (int run = 0; run <= options_.runs; ++run) {
      const auto [prefill, decode] = run_once();
      if (run == 0) continue;  // the first one reads the weights from disk
      speeds.prefill.push_back(prefill);
      speeds.decode.push_back(decode);
    }
    return speeds;
  }

 private:
  void append_row(runner::TokenId token) {
    const auto row = model_.embeddings->row(token);
    prompt_.insert(prompt_.end(), row.begin(), row.end());
  }

  std::pair<double, double> run_once() {
    const auto cache = engine_->new_cache();
    runner::SamplerOptions greedy;
    greedy.enable_top_k = false;
    runner::Sampler sampler(greedy, 0);

    auto start = Clock::now();
    runner::Logits logits = engine_->prefill({prompt_, model_.shape.hidden}, *cache, {});
    const double prefill = options_.prompt_tokens / seconds_since(start);

    start = Clock::now();
    for (int i = 0; i < options_.new_tokens; ++i) {
      const auto row = model_.embeddings->row(sampler.sample(logits, {}));
      logits = engine_->decode({row, model_.shape.hidden}, *cache);
    }
    return {prefill, options_.new_tokens / seconds_since(start)};
  }

  const BenchOptions& options_;
  const runner::Model& model_;
  std::unique_ptr<runner::Engine> engine_;
  std::vector<runner::Bf16> prompt_;  // [prompt_tokens, hidden]
};

std::string to_json(const Spread& values) {
  char text[128];
  std::snprintf(text, sizeof text, "{\"median\":%.2f,\"min\":%.2f,\"max\":%.2f}", values.median,
                values.min, values.max);
  return text;
}

}  // namespace

int bench(const BenchOptions& options, ModelLoader& loader) {
  const auto start = Clock::now();
  const auto model = loader.load(options.model, true);
  const double load_ms = seconds_since(start) * 1000;
  const Speeds speeds = Bench(options, *model).measure();
  const Spread prefill = spread(speeds.prefill);
  const Spread decode = spread(speeds.decode);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const double peak_mib = static_cast<double>(usage.ru_maxrss) / 1024;

  if (options.json) {
    std::printf(
        "{\"model\":%s,\"engine\":%s,\"prompt_tokens\":%d,\"new_tokens\":%d,\"runs\":%d,"
        "\"load_ms\":%.1f,\"prefill_tps\":%s,\"decode_tps\":%s,\"peak_memory_mib\":%.1f}\n",
        protocol::json_string(model->name).c_str(), protocol::json_string(model->engine).c_str(),
        options.prompt_tokens, options.new_tokens, options.runs, load_ms, to_json(prefill).c_str(),
        to_json(decode).c_str(), peak_mib);
    return 0;
  }
  std::printf("model        %s (engine %s)\n", model->name.c_str(), model->engine.c_str());
  std::printf("load         %.1f ms\n", load_ms);
  std::printf("prefill      %.1f tok/s, median of %d (min %.1f, max %.1f), %d tokens\n",
              prefill.median, options.runs, prefill.min, prefill.max, options.prompt_tokens);
  std::printf("decode       %.1f tok/s, median of %d (min %.1f, max %.1f), %d tokens\n",
              decode.median, options.runs, decode.min, decode.max, options.new_tokens);
  std::printf("peak memory  %.1f MiB\n", peak_mib);
  return 0;
}

}  // namespace main_llm
