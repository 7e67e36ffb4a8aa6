#include "runner/npu/layered_engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "runner/cpu/cpu_engine.h"
#include "runner/error.h"
#include "tests/runner/allocation_count.h"
#include "tests/runner/engine_conformance.h"
#include "tests/runner/sim_npu.h"

using runner::Bf16;
using runner::Engine;
using runner::NpuModel;

namespace {

// 16 rows a prefill, 60 of context; K/V rows of 128 bytes, so that they can be written in place.
constexpr int kPrefill = 16;
constexpr int kContextRows = 60;
const RandomModel kSmall{.head_dim = 32, .vocab = 50};

SimModelOptions groups(std::vector<std::uint32_t> history = {}) {
  SimModelOptions options;
  options.prefill = kPrefill;
  options.context = kContextRows;
  options.history = std::move(history);
  return options;
}

SimModelOptions with(SimModelOptions options, void (*change)(SimModelOptions&)) {
  change(options);
  return options;
}

EngineUnderTest simulated(const std::string& name, const RandomModel& model,
                          const SimModelOptions& options, bool in_place = false) {
  struct Loaded {
    std::unique_ptr<SimModel> files;
    std::shared_ptr<const NpuModel> model;
  };
  const auto loaded = std::make_shared<Loaded>();
  return {name, [=] {
            if (!loaded->model) {
              loaded->files = std::make_unique<SimModel>(model, options);
              loaded->model = loaded->files->load();
            }
            return runner::make_layered_engine(loaded->model, {in_place});
          }};
}

std::string engine_name(const testing::TestParamInfo<EngineUnderTest>& info) {
  return info.param.name;
}

}  // namespace

// All exact: the simulator computes a row alike in every group.
INSTANTIATE_TEST_SUITE_P(
    Npu, EngineConformance,
    testing::Values(
        simulated("TwoGroups", kSmall, groups()), simulated("Context", kSmall, groups({16, 44})),
        simulated("InPlace", kSmall, groups({16, 44}), true),
        // Rows of 90 and 40 bytes: cache lines are shared.
        simulated("OddSizes", {.hidden = 45, .heads = 6, .kv_heads = 2, .head_dim = 10},
                  groups({20, 40}), true),
        simulated("Placeholder", kSmall, with(groups(), [](auto& o) { o.placeholder = true; })),
        simulated("DecodeOnly", kSmall, with(groups(), [](auto& o) { o.prefill = 0; })),
        simulated("OnDemand", kSmall, with(groups({16}), [](auto& o) { o.dynamic_load = true; })),
        simulated("List", kSmall, with(groups(), [](auto& o) { o.post_topk = 12; }))),
    engine_name);

namespace {

std::vector<float> prefill(Engine& engine, runner::KvCache& cache, const std::vector<Bf16>& rows) {
  return scores_of(engine.prefill({rows, engine.shape().hidden}, cache, {}), engine.shape().vocab);
}

// Prompts of every length that matters give what the CPU engine gives, as near as bf16 between
// the layers allows: 1/256 for each of a few roundings, of the largest logit.
class AgainstCpu : public testing::TestWithParam<std::vector<std::uint32_t>> {};

TEST_P(AgainstCpu, PromptsUpToTheContextAgree) {
  const NoViolations no_violations;
  const SimModel files(kSmall, groups(GetParam()));
  const auto npu = runner::make_layered_engine(files.load());
  const auto cpu_model = runner::load_cpu_model(files.huggingface(), kContextRows);
  const auto cpu =
      runner::make_cpu_engine(cpu_model.weights, std::make_shared<runner::ThreadPool>(1));
  ASSERT_EQ(npu->shape().context, kContextRows);
  for (const int length :
       {1, kPrefill - 1, kPrefill, kPrefill + 1, 3 * kPrefill, kContextRows - 1, kContextRows}) {
    const auto rows = some_rows(length, npu->shape().hidden, 7);
    const auto expected = prefill(*cpu, *cpu->new_cache(), rows);
    const auto actual = prefill(*npu, *npu->new_cache(), rows);
    float largest = 0;
    float difference = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      largest = std::max(largest, std::fabs(expected[i]));
      difference = std::max(difference, std::fabs(expected[i] - actual[i]));
    }
    EXPECT_LE(difference, largest * 8 / 256) << length << " rows";
  }
}

INSTANTIATE_TEST_SUITE_P(Npu, AgainstCpu,
                         testing::Values(std::vector<std::uint32_t>{},
                                         std::vector<std::uint32_t>{16, 44}));

class LayeredEngineTest : public testing::Test {
 protected:
  NoViolations no_violations_;
  SimModel files_{kSmall, groups()};
};

TEST_F(LayeredEngineTest, TheTenthInferenceEqualsTheFirst) {
  const auto engine = runner::make_layered_engine(files_.load());
  const auto cache = engine->new_cache();
  const auto rows = some_rows(20, engine->shape().hidden, 1);
  const auto longer = some_rows(40, engine->shape().hidden, 2);
  const auto first = prefill(*engine, *cache, rows);
  for (int i = 0; i < 10; ++i) {
    cache->truncate(0);
    prefill(*engine, *cache, longer);
    cache->truncate(0);
    EXPECT_EQ(prefill(*engine, *cache, rows), first);
  }
}

TEST_F(LayeredEngineTest, WhatIsAppendedCostsNoRunOfItsOwn) {
  const auto engine = runner::make_layered_engine(files_.load());
  const auto cache = engine->new_cache();
  const auto rows = some_rows(15, engine->shape().hidden, 1);
  const runner::EmbeddingView view(rows, engine->shape().hidden);
  const auto before = sim_counters();
  EXPECT_TRUE(engine->append(view.slice(0, 8), *cache, {}));
  engine->prefill(view.slice(8, 7), *cache, {});
  // A second turn behind the same head: the whole prompt in one run, not seven steps of decoding.
  cache->truncate(8);
  engine->prefill(view.slice(8, 7), *cache, {});
  const auto after = sim_counters();
  const auto layers = static_cast<std::uint64_t>(engine->shape().layers);
  EXPECT_EQ(after.prefill_runs - before.prefill_runs, 2 * layers);
  EXPECT_EQ(after.prefill_rows - before.prefill_rows, 2 * 15 * layers);
  EXPECT_EQ(after.decode_runs, before.decode_runs);
  EXPECT_EQ(after.post_runs - before.post_runs, 2U);
}

TEST_F(LayeredEngineTest, ACommonBeginningIsNotComputedAgainWhereHistoryAllowsIt) {
  const SimModel context(kSmall, groups({16, 44}));
  const auto engine = runner::make_layered_engine(context.load());
  const auto cache = engine->new_cache();
  const auto rows = some_rows(30, engine->shape().hidden, 1);
  const runner::EmbeddingView view(rows, engine->shape().hidden);
  EXPECT_TRUE(engine->append(view.slice(0, 20), *cache, {}));
  engine->prefill(view.slice(20, 10), *cache, {});
  cache->truncate(20);
  const auto before = sim_counters();
  engine->prefill(view.slice(20, 10), *cache, {});
  EXPECT_EQ(sim_counters().prefill_rows - before.prefill_rows,
            10U * static_cast<std::uint64_t>(engine->shape().layers));
}

TEST_F(LayeredEngineTest, TwentyTurnsEqualTheirRowsFromScratch) {
  const SimModel context(kSmall, groups({16, 44}));
  const auto engine = runner::make_layered_engine(context.load());
  const int hidden = engine->shape().hidden;
  const auto rows = some_rows(kContextRows, hidden, 5);
  const runner::EmbeddingView view(rows, hidden);
  const auto conversation = engine->new_cache();
  // Turns of one to five rows, of which the last is an answer's.
  int length = 0;
  for (int turn = 0; turn < 20; ++turn) {
    const int asked = turn % 4 == 0 ? 4 : turn % 3 == 0 ? 2 : 1;
    engine->prefill(view.slice(length, asked), *conversation, {});
    length += asked;
    const auto answer =
        scores_of(engine->decode(view.slice(length, 1), *conversation), engine->shape().vocab);
    ++length;
    const auto scratch = engine->new_cache();
    const auto expected =
        scores_of(engine->prefill(view.slice(0, length), *scratch, {}), engine->shape().vocab);
    ASSERT_EQ(answer, expected) << "turn " << turn << ", " << length << " rows";
  }
  EXPECT_GT(length, 44) << "beyond what prefill groups reach";
}

TEST_F(LayeredEngineTest, DecodeAllocatesNothing) {
  const auto engine = runner::make_layered_engine(files_.load());
  const auto cache = engine->new_cache();
  const auto rows = some_rows(1, engine->shape().hidden, 1);
  const runner::EmbeddingView row(rows, engine->shape().hidden);
  engine->decode(row, *cache);
  const auto before = allocation_count();
  if (!before) GTEST_SKIP() << "this build cannot count allocations";
  for (int i = 0; i < 30; ++i) engine->decode(row, *cache);
  EXPECT_EQ(allocation_count(), before);
}

TEST_F(LayeredEngineTest, TasksOnSeveralThreadsShareTheGraphs) {
  const auto model = files_.load();
  const auto blocks = sim_counters().live_handles;
  const auto expected = [&] {
    const auto engine = runner::make_layered_engine(model);
    return prefill(*engine, *engine->new_cache(), some_rows(30, model->shape().hidden, 3));
  }();
  std::vector<std::vector<float>> results(3);
  {
    std::vector<std::jthread> tasks;
    for (auto& result : results) {
      tasks.emplace_back([&] {
        const auto engine = runner::make_layered_engine(model);
        for (int i = 0; i < 5; ++i) {
          result = prefill(*engine, *engine->new_cache(), some_rows(30, model->shape().hidden, 3));
        }
      });
    }
  }
  for (const auto& result : results) EXPECT_EQ(result, expected);
  EXPECT_EQ(sim_counters().live_handles, blocks);
}

TEST_F(LayeredEngineTest, EverythingIsGivenBack) {
  {
    const auto engine = runner::make_layered_engine(files_.load());
    const auto cache = engine->new_cache();
    prefill(*engine, *cache, some_rows(5, engine->shape().hidden, 1));
    EXPECT_GT(sim_counters().live_blocks, 0U);
  }
  EXPECT_EQ(sim_counters().live_blocks, 0U);
  EXPECT_EQ(sim_counters().live_handles, 0U);
  EXPECT_EQ(sim_counters().cmm_bytes, 0U);
}

std::string message_of(runner::ErrorCode code, const std::function<void()>& work) {
  try {
    work();
  } catch (const runner::Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  return "no Error";
}

TEST_F(LayeredEngineTest, AFailureBreaksOneTaskAndNoOther) {
  const auto model = [&] {
    const SimEnvironment failing("AX_SIM_FAIL", "AX_ENGINE_RunGroupIOSync:12:8006008A");
    return files_.load();
  }();
  const auto broken = runner::make_layered_engine(model);
  const auto other = runner::make_layered_engine(model);
  const auto rows = some_rows(4, model->shape().hidden, 1);
  const auto cache = broken->new_cache();
  const auto other_cache = other->new_cache();
  const auto expected = prefill(*other, *other_cache, rows);  // 3 runs
  const std::vector<Bf16> one(rows.begin(), rows.begin() + model->shape().hidden);
  const std::string message = message_of(runner::ErrorCode::kEngineFailed, [&] {
    for (int i = 0; i < 10; ++i) broken->decode({one, model->shape().hidden}, *cache);
  });
  EXPECT_NE(message.find("AX_ENGINE_RunGroupIOSync"), std::string::npos) << message;
  EXPECT_NE(message.find("0x8006008A (task failed)"), std::string::npos) << message;
  EXPECT_TRUE(model->is_broken());
  cache->truncate(0);
  EXPECT_EQ(message_of(runner::ErrorCode::kEngineFailed,
                       [&] {
                         broken->decode({one, model->shape().hidden}, *cache);
                       }),
            message);
  other_cache->truncate(0);
  EXPECT_EQ(prefill(*other, *other_cache, rows), expected);
}

TEST_F(LayeredEngineTest, MemoryIsLookedAtBeforeAnythingIsLoaded) {
  const auto device = make_sim_device();
  const auto before = sim_counters();
  EXPECT_EQ(message_of(runner::ErrorCode::kOutOfMemory,
                       [&] {
                         files_.load(device, {4096, 1000, {}});
                       }),
            "the model needs 0 MiB of NPU memory (CMM) for its weights, 0 MiB are free; another "
            "unit's model may be using it, or choose a smaller one");
  EXPECT_EQ(sim_counters().live_handles, before.live_handles);
  EXPECT_EQ(sim_counters().allocations, before.allocations);
}

TEST_F(LayeredEngineTest, RunningOutOfMemoryIsSaidAndNothingIsLost) {
  const SimEnvironment small("AX_SIM_CMM_MIB", "3");
  const SimModel roomy(kSmall, with(groups(), [](auto& o) { o.context = 4000; }));
  const auto engine = runner::make_layered_engine(roomy.load());
  const auto before = sim_counters();
  const std::string message =
      message_of(runner::ErrorCode::kOutOfMemory, [&] { engine->new_cache(); });
  EXPECT_NE(message.find("0x800B0018 (out of NPU memory)"), std::string::npos) << message;
  EXPECT_EQ(sim_counters().live_blocks, before.live_blocks);
}

TEST_F(LayeredEngineTest, AFailedInitialisationNamesTheFunctionAndCanBeTriedAgain) {
  for (const char* function : {"AX_SYS_Init", "AX_ENGINE_Init"}) {
    {
      const SimEnvironment failing("AX_SIM_FAIL", std::string(function) + ":1:800B0010");
      const std::string message =
          message_of(runner::ErrorCode::kEngineFailed, [] { make_sim_device(); });
      EXPECT_NE(message.find(function), std::string::npos) << message;
      EXPECT_NE(message.find("0x800B0010"), std::string::npos) << message;
    }
    EXPECT_NE(make_sim_device(), nullptr);
  }
}

TEST_F(LayeredEngineTest, ProgressGoesFromNothingToAll) {
  std::vector<double> seen;
  files_.load(make_sim_device(), {4096, std::nullopt, [&](double done) { seen.push_back(done); }});
  ASSERT_GE(seen.size(), 3U);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_EQ(seen.back(), 1.0);
}

TEST_F(LayeredEngineTest, BrokenFilesAreNamed) {
  runner::NpuModelFiles files = files_.files();
  const auto device = make_sim_device();
  const auto load = [&](const runner::NpuModelFiles& changed) {
    return [&] { NpuModel(device, changed, {4096, std::nullopt, {}}); };
  };
  const TemporaryDirectory directory;
  const auto expect = [&](const runner::NpuModelFiles& changed, const std::string& words) {
    const std::string message = message_of(runner::ErrorCode::kBadModel, load(changed));
    EXPECT_NE(message.find(words), std::string::npos) << message;
  };
  auto changed = files;
  write_file(directory / "l1.axmodel",
             "version https://git-lfs.github.com/spec/v1\noid sha256:1\n");
  changed.layers[1] = directory / "l1.axmodel";
  expect(changed, "l1.axmodel: is a Git LFS pointer");
  write_file(directory / "l1.axmodel", "cut");
  expect(changed, "l1.axmodel: has 3 bytes");
  write_file(directory / "l1.axmodel", std::string(5000, 'x'));
  expect(changed, "l1.axmodel: is not an axmodel");
  changed = files;
  changed.hidden = 33;
  expect(changed, "made for 32, tokens_embed_size is 33");
  changed = files;
  changed.vocab = 51;
  expect(changed, "made for 50, tokens_embed_num is 51");
  changed = files;
  std::swap(changed.post, changed.layers[1]);
  EXPECT_NE(message_of(runner::ErrorCode::kBadModel, load(changed)), "no Error");
  const SimModel other(kSmall, groups({16}));
  changed = files;
  changed.layers[1] = other.files().layers[1];
  expect(changed, "its tensors have other sizes than those of");
  changed.layers[1] = directory / "missing.axmodel";
  changed.post = directory / "gone.axmodel";
  EXPECT_NE(
      message_of(runner::ErrorCode::kNotFound, load(changed)).find("missing.axmodel, gone.axmodel"),
      std::string::npos);
}

}  // namespace
