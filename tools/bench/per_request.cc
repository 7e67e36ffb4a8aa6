// What one request costs beside the model: framing and parsing it, encoding its text, choosing a
// token, writing a frame of the answer. Google Benchmark's options apply:
//   build/per_request tools/demo_model/tiny-chat --benchmark_repetitions=9

#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdio>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "protocol/framer.h"
#include "protocol/json_writer.h"
#include "protocol/message.h"
#include "runner/sampler.h"
#include "runner/text_model.h"

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

// One of Qwen2.5's vocabulary, argument: top-k (1: the best token).
void sample(benchmark::State& state) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> scores(151936);
  for (float& score : scores) score = normal(random);
  runner::SamplerOptions options;
  options.enable_top_k = state.range(0) > 1;
  options.top_k = static_cast<int>(state.range(0));
  runner::Sampler sampler(options, 1);
  const runner::Logits logits{std::span<const float>(scores)};
  for (auto _ : state) benchmark::DoNotOptimize(sampler.sample(logits, {}));
}
BENCHMARK(sample)->Arg(1)->Arg(10);

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
