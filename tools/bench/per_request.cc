// What one request costs beside the model: framing and parsing it, encoding its text, choosing a
// token, writing a frame of the answer. Google Benchmark's options apply:
//   build/per_request tools/demo_model/tiny-chat --benchmark_repetitions=9

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "protocol/framer.h"
#include "protocol/json_writer.h"
#include "protocol/message.h"
#include "runner/bf16.h"
#include "runner/engine.h"
#include "runner/sampler.h"
#include "runner/text/text_model.h"

namespace {

const std::string kText = "What is the capital of Japan? 日本の首都はどこですか？";
std::string model_folder;

void frame_and_parse(benchmark::State& state) {
  const std::string request =
      R"({"request_id":"3","work_id":"llm.1000","action":"inference","object":"llm.utf-8","data":)" +
      protocol::json_string(kText) + "}\n";
  protocol::Framer framer;
  for (auto _ : state) {
    framer.push(request);
    while (const auto frame = framer.next()) {
      benchmark::DoNotOptimize(protocol::parse_frame(*frame));
    }
  }
}
BENCHMARK(frame_and_parse);

void write_frame(benchmark::State& state) {
  protocol::Reply reply;
  reply.object = "llm.utf-8.stream";
  reply.request_id = "3";
  reply.work_id = "llm.1000";
  std::uint64_t index = 0;
  for (auto _ : state) {
    reply.data_json = protocol::stream_data(index++, false, " Tokyo");
    benchmark::DoNotOptimize(protocol::serialize(reply));
  }
}
BENCHMARK(write_frame);

void encode_text(benchmark::State& state) {
  const runner::TextModel text = runner::load_text_model(model_folder);
  for (auto _ : state) {
    benchmark::DoNotOptimize(text.tokenizer->encode(kText, runner::SpecialText::kOrdinary));
  }
}
BENCHMARK(encode_text);

// Logits of Qwen2.5's vocabulary: many that hardly differ and a few that stand out.
std::vector<float> vocab_logits() {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 3);
  std::vector<float> scores(151936);
  for (float& score : scores) score = normal(random);
  for (int i = 0; i < 20; ++i) scores[random() % scores.size()] = 15 + normal(random);
  return scores;
}

void sample(benchmark::State& state, const runner::SamplerOptions& options,
            const runner::Logits& logits) {
  // Of the sort that the penalty meets: half of them among the best.
  std::vector<runner::TokenId> generated;
  const std::vector<float> scores = vocab_logits();
  for (std::size_t i = 0; generated.size() < 50; ++i) {
    if (scores[i] > 8 || i % 4096 == 0) generated.push_back(static_cast<runner::TokenId>(i));
  }
  runner::Sampler sampler(options, 1);
  for (auto _ : state) benchmark::DoNotOptimize(sampler.sample(logits, generated));
}

void sample_floats(benchmark::State& state, const runner::SamplerOptions& options) {
  const std::vector<float> scores = vocab_logits();
  sample(state, options, std::span<const float>(scores));
}

void sample_bf16(benchmark::State& state, const runner::SamplerOptions& options) {
  std::vector<runner::Bf16> scores;
  for (const float score : vocab_logits()) scores.push_back(runner::to_bf16(score));
  sample(state, options, std::span<const runner::Bf16>(scores));
}

const runner::SamplerOptions kGreedy{.enable_top_k = false};
const runner::SamplerOptions kTopK{.top_k = 10};
const runner::SamplerOptions kPenalized{.top_k = 10, .enable_repetition_penalty = true};
const runner::SamplerOptions kTopP{.enable_top_p = true, .top_p = 0.7F};
BENCHMARK_CAPTURE(sample_floats, greedy, kGreedy);
BENCHMARK_CAPTURE(sample_floats, top_k, kTopK);
BENCHMARK_CAPTURE(sample_floats, top_k_penalty, kPenalized);
BENCHMARK_CAPTURE(sample_floats, top_p, kTopP);
BENCHMARK_CAPTURE(sample_bf16, greedy, kGreedy);
BENCHMARK_CAPTURE(sample_bf16, top_k, kTopK);
BENCHMARK_CAPTURE(sample_bf16, top_k_penalty, kPenalized);
BENCHMARK_CAPTURE(sample_bf16, top_p, kTopP);

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (argc != 2) {
    std::fprintf(stderr, "usage: per_request MODEL_FOLDER [--benchmark_...]\n");
    return 2;
  }
  model_folder = argv[1];
  benchmark::RunSpecifiedBenchmarks();
}
