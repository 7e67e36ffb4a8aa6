// What the host does for an NPU's decode step and prefill, beside the NPU: over the simulator in
// its free mode (AX_SIM_FREE=1), which computes nothing. Google Benchmark's options apply:
//   build/npu_host_overhead SIM_MODEL_FOLDER --benchmark_repetitions=9
// SIM_MODEL_FOLDER: made by make_sim_model --shape-only.

#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "runner/file_text.h"
#include "runner/npu/ax_device.h"
#include "runner/npu/layered_engine.h"
#include "runner/npu/npu_description.h"
#include "runner/sampler.h"

namespace {

std::shared_ptr<const runner::NpuModel> model;

std::shared_ptr<const runner::NpuModel> load(const std::filesystem::path& folder) {
  const auto mode = folder / ("mode_" + folder.filename().string() + ".json");
  const auto description = runner::read_npu_description(folder, runner::read_text_file(mode), mode);
  const auto library = runner::AxLibrary::open(AX_SIM_DIR, "/");
  return std::make_shared<const runner::NpuModel>(runner::make_ax_device(library, "/"),
                                                  description.graphs,
                                                  runner::NpuModelOptions{4096, std::nullopt, {}});
}

runner::SamplerOptions sampling(int top_k, float top_p) {
  runner::SamplerOptions options;
  options.enable_top_k = top_k > 1;
  options.top_k = top_k;
  options.enable_top_p = top_p > 0;
  options.top_p = top_p;
  return options;
}

// Steps of decoding, begun again untimed when the context is full; choose(logits) is timed too.
template <typename Choose>
void decode_steps(benchmark::State& state, const Choose& choose) {
  const auto engine = runner::make_layered_engine(model);
  const auto cache = engine->new_cache();
  const std::vector<runner::Bf16> values(static_cast<std::size_t>(model->shape().hidden));
  const runner::EmbeddingView row(values, model->shape().hidden);
  for (auto _ : state) {
    if (cache->length() == cache->capacity()) {
      state.PauseTiming();
      cache->truncate(1);
      engine->decode(row, *cache);
      state.ResumeTiming();
    }
    choose(engine->decode(row, *cache));
  }
}

void decode_step(benchmark::State& state) {
  decode_steps(state, [](const runner::Logits& logits) { benchmark::DoNotOptimize(&logits); });
}
BENCHMARK(decode_step)->Unit(benchmark::kMicrosecond);

// A whole token: the step, and its choice.
void token(benchmark::State& state, int top_k, float top_p) {
  runner::Sampler sampler(sampling(top_k, top_p), 1);
  decode_steps(state, [&](const runner::Logits& logits) {
    benchmark::DoNotOptimize(sampler.sample(logits, {}));
  });
}
BENCHMARK_CAPTURE(token, greedy, 1, 0.0F)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(token, top_k_10, 10, 0.0F)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(token, top_p_07, 1, 0.7F)->Unit(benchmark::kMicrosecond);

// A prompt of so many rows into a cache that held one like it.
void prefill(benchmark::State& state) {
  const auto engine = runner::make_layered_engine(model);
  const auto cache = engine->new_cache();
  const auto rows = static_cast<std::size_t>(state.range(0));
  const std::vector<runner::Bf16> prompt(rows * static_cast<std::size_t>(model->shape().hidden));
  for (auto _ : state) {
    cache->truncate(0);
    benchmark::DoNotOptimize(engine->prefill({prompt, model->shape().hidden}, *cache, {}));
  }
}
BENCHMARK(prefill)->Arg(20)->Arg(100)->Arg(128)->Unit(benchmark::kMicrosecond);

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (argc != 2) {
    std::fprintf(stderr, "usage: npu_host_overhead SIM_MODEL_FOLDER [--benchmark_...]\n");
    return 2;
  }
  setenv("AX_SIM_FREE", "1", 1);
  model = load(argv[1]);
  benchmark::RunSpecifiedBenchmarks();
  model.reset();
}
