#include "runner/cpu/cpu_engine.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/runner/allocation_count.h"
#include "tests/runner/engine_conformance.h"
#include "tests/runner/random_model.h"

using runner::Bf16;
using runner::CpuModel;
using runner::EmbeddingView;
using runner::ThreadPool;

namespace {

CpuModel load(const RandomModel& model, int context = 4096) {
  const TemporaryDirectory directory;
  write_random_model(directory.path(), model);
  return runner::load_cpu_model(directory.path(), context);  // mappings outlive the names
}

EngineUnderTest engine(const std::string& name, const RandomModel& model, int threads) {
  // Made on first use: the list of tests is built in processes that run none of them.
  const auto loaded = std::make_shared<CpuModel>();
  const auto pool = std::make_shared<std::shared_ptr<ThreadPool>>();
  return {name, [=] {
            if (!*pool) {
              *loaded = load(model);
              *pool = std::make_shared<ThreadPool>(threads);
            }
            return runner::make_cpu_engine(loaded->weights, *pool);
          }};
}

std::string name_of(const testing::TestParamInfo<EngineUnderTest>& info) { return info.param.name; }

// Sizes that fit no vector and no cache line; 3 query heads to a K/V head and 5 heads of 64.
const RandomModel kOdd{.layers = 2,
                       .hidden = 45,
                       .intermediate = 77,
                       .heads = 6,
                       .kv_heads = 2,
                       .head_dim = 10,
                       .vocab = 101,
                       .positions = 131};

}  // namespace

// All exact: the kernels compute every value in one order (kernels.h).
INSTANTIATE_TEST_SUITE_P(
    Cpu, EngineConformance,
    testing::Values(
        engine("Plain", {}, 1), engine("TwoThreads", {}, 2), engine("OddSizes", kOdd, 3),
        engine("ManyThreads", {.layers = 1, .hidden = 64, .vocab = 20}, 5),
        engine("SevenHeadsToOne",
               {.hidden = 112, .intermediate = 96, .heads = 14, .head_dim = 64, .tied = false}, 2),
        engine("NoGroups", {.layers = 3, .heads = 3, .kv_heads = 3, .head_dim = 34}, 2),
        engine("Qwen3", {.family = "qwen3", .head_dim = 18, .positions = 70}, 2),
        engine("Llama3",
               {.family = "llama",
                .attention_bias = true,
                .llama3_rope = true,
                .head_dim = 32,
                .positions = 70},
               3)),
    name_of);

namespace {

std::vector<float> logits_of(const CpuModel& model, const std::shared_ptr<ThreadPool>& pool,
                             int rows) {
  const auto engine = runner::make_cpu_engine(model.weights, pool);
  const auto cache = engine->new_cache();
  std::vector<Bf16> values;
  for (int row = 0; row < rows; ++row) {
    const auto embedding = model.embeddings->row(row * 7 % model.shape.vocab);
    values.insert(values.end(), embedding.begin(), embedding.end());
  }
  return scores_of(engine->prefill({values, model.shape.hidden}, *cache, {}), model.shape.vocab);
}

std::vector<float> logits_of(const RandomModel& model) {
  return logits_of(load(model), std::make_shared<ThreadPool>(1), 60);
}

TEST(CpuEngine, ThreadCountDoesNotChangeTheBits) {
  const CpuModel model = load(kOdd);
  const auto expected = logits_of(model, std::make_shared<ThreadPool>(1), 100);
  for (const int threads : {2, 3, 7}) {
    EXPECT_EQ(logits_of(model, std::make_shared<ThreadPool>(threads), 100), expected) << threads;
  }
}

TEST(CpuEngine, FilesOfEveryKindGiveTheSameBits) {
  const auto expected = logits_of(RandomModel{});
  EXPECT_EQ(logits_of(RandomModel{.dtype = "F32"}), expected);
  EXPECT_EQ(logits_of(RandomModel{.dtype = "F16"}), expected);
  EXPECT_EQ(logits_of(RandomModel{.shards = 3}), expected);
  EXPECT_EQ(logits_of(RandomModel{.header_padding = 1}), expected);  // odd addresses
  EXPECT_EQ(logits_of(RandomModel{.header_padding = 2}), expected);
  EXPECT_EQ(logits_of(RandomModel{.dtype = "F32", .shards = 2, .header_padding = 3}), expected);
  EXPECT_NE(logits_of(RandomModel{.seed = 2}), expected);
}

TEST(CpuEngine, ScaledPositionsAreOtherPositions) {
  RandomModel model{.family = "llama", .head_dim = 32};
  const auto plain = logits_of(model);
  model.llama3_rope = true;
  EXPECT_NE(logits_of(model), plain);
}

TEST(CpuEngine, EnginesOfSeveralThreadsShareWeightsAndPool) {
  const CpuModel model = load({});
  const auto pool = std::make_shared<ThreadPool>(2);
  const auto expected = logits_of(model, pool, 60);
  std::vector<std::vector<float>> results(3);
  {
    std::vector<std::jthread> tasks;
    for (auto& result : results) {
      tasks.emplace_back([&] {
        for (int i = 0; i < 4; ++i) result = logits_of(model, pool, 60);
      });
    }
  }
  for (const auto& result : results) EXPECT_EQ(result, expected);
}

TEST(CpuEngine, DecodeAllocatesNothing) {
  const CpuModel model = load(kOdd);
  const auto engine = runner::make_cpu_engine(model.weights, std::make_shared<ThreadPool>(2));
  const auto cache = engine->new_cache();
  const EmbeddingView row(model.embeddings->row(5), model.shape.hidden);
  engine->decode(row, *cache);
  const auto before = allocation_count();
  if (!before) GTEST_SKIP() << "this build cannot count allocations";
  for (int i = 0; i < 100; ++i) engine->decode(row, *cache);
  EXPECT_EQ(allocation_count(), before);
}

TEST(CpuEngine, ContextIsTheSmallerOfModelAndOption) {
  EXPECT_EQ(load({.positions = 160}, 4096).shape.context, 160);
  EXPECT_EQ(load({.positions = 160}, 100).shape.context, 100);
}

}  // namespace
