// What the simulated NPU computes: the same bits whichever group does, and what the CPU engine
// says.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "runner/bf16.h"
#include "runner/cpu/cpu_engine.h"
#include "runner/cpu/cpu_weights.h"
#include "runner/cpu/thread_pool.h"
#include "runner/embedding_table.h"
#include "runner/engine.h"
#include "tests/ax_sim/sim_model_writer.h"
#include "tests/ax_sim/sim_runtime.h"
#include "tests/runner/random_model.h"

namespace {

using Row = std::vector<std::uint16_t>;

constexpr std::size_t kHiddenWidth = 32;
constexpr std::size_t kKvWidth = 16;
constexpr std::size_t kPrefillRows = 8;

// A model of two layers; the caches are held here, in plain memory.
class Pipeline {
 public:
  Pipeline(const std::string& directory, const std::string& layer_name)
      : post_(directory + "/qwen2_post.axmodel") {
    for (const char* index : {"0", "1"}) {
      std::string name = layer_name;
      name.replace(name.find("%d"), 2, index);
      layers_.push_back(std::make_unique<SimHandle>(directory + "/" + name));
      caches_.emplace_back();
    }
  }

  // Puts rows behind those in the caches by one run of `group` in each layer; their hidden states.
  std::vector<Row> run(std::uint32_t group, std::vector<Row> rows) {
    const std::size_t history = caches_[0].first.size();
    for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
      SimRun run(*layers_[layer], group);
      fill(run, rows, history, caches_[layer]);
      if (run.run() != 0) ADD_FAILURE() << rt().AX_SIM_LastViolation();
      for (std::size_t i = 0; i < rows.size(); ++i) {
        caches_[layer].first.push_back(row_of(run, "K_cache_out", i, kKvWidth));
        caches_[layer].second.push_back(row_of(run, "V_cache_out", i, kKvWidth));
        rows[i] = row_of(run, "output", i, kHiddenWidth);
      }
      if (group != 0) {
        const Row last = row_of(run, "output", kPrefillRows - 1, kHiddenWidth);
        EXPECT_TRUE(std::ranges::all_of(last, [](auto v) { return v != 0 && v != 0xFFFF; }));
      }
    }
    return rows;
  }

  Row logits(const Row& hidden, std::size_t vocab) {
    SimRun run(post_, 0);
    std::memcpy(run.buffer("input").vir, hidden.data(), hidden.size() * 2);
    EXPECT_EQ(run.run(), 0);
    return row_of(run, "output", 0, vocab);
  }

  using Cache = std::pair<std::vector<Row>, std::vector<Row>>;
  const std::vector<Cache>& caches() const { return caches_; }

 private:
  static Row row_of(SimRun& run, const char* name, std::size_t row, std::size_t width) {
    const auto* from = run.values<std::uint16_t>(name) + row * width;
    return {from, from + width};
  }

  static void fill(SimRun& run, const std::vector<Row>& rows, std::size_t history,
                   const Cache& cache) {
    const std::size_t group_rows = run.buffer("indices").bytes / 4;
    const std::size_t columns = run.buffer("mask").bytes / 2 / group_rows;
    const std::size_t slots = columns - group_rows;
    for (std::size_t i = 0; i < history && slots > 0; ++i) {
      std::memcpy(run.values<Row::value_type>("K_cache") + i * kKvWidth, cache.first[i].data(),
                  kKvWidth * 2);
      std::memcpy(run.values<Row::value_type>("V_cache") + i * kKvWidth, cache.second[i].data(),
                  kKvWidth * 2);
    }
    auto* mask = run.values<std::uint16_t>("mask");
    std::fill(mask, mask + group_rows * columns, std::uint16_t{0xC780});
    for (std::size_t i = 0; i < group_rows; ++i) {
      run.values<std::uint32_t>("indices")[i] = static_cast<std::uint32_t>(history + i);
      if (i >= rows.size()) continue;
      std::memcpy(run.values<Row::value_type>("input") + i * kHiddenWidth, rows[i].data(),
                  kHiddenWidth * 2);
      std::fill_n(mask + i * columns, history, std::uint16_t{0});
      std::fill_n(mask + i * columns + slots, i + 1, std::uint16_t{0});
    }
  }

  SimHandle post_;
  std::vector<std::unique_ptr<SimHandle>> layers_;
  std::vector<Cache> caches_;
};

class AxSimCompute : public testing::Test {
 protected:
  AxSimCompute() {
    write_random_model(directory_ / "hf", RandomModel{});
    for (const runner::Bf16 value : weights().embeddings.values) embeddings_.push_back(value.bits);
  }

  runner::CpuWeights weights() const {
    return *runner::load_cpu_model(directory_ / "hf", 64, {}).weights;
  }

  Pipeline pipeline(const std::string& name, const std::vector<std::uint32_t>& history,
                    std::uint32_t prefill, bool placeholder = false) const {
    SimModelOptions options;
    options.source = directory_ / "hf";
    options.out_base = directory_.path();
    options.name = name;
    options.prefill = prefill;
    options.context = 23;
    options.history = history;
    options.placeholder = placeholder;
    write_sim_model(options);
    return {(directory_ / name).string(),
            prefill == 0 ? "qwen2_l%d.axmodel" : "qwen2_p8_l%d_together.axmodel"};
  }

  std::vector<Row> rows(const std::vector<std::size_t>& tokens) const {
    std::vector<Row> rows;
    for (const std::size_t token : tokens) {
      const auto* from = embeddings_.data() + token * kHiddenWidth;
      rows.emplace_back(from, from + kHiddenWidth);
    }
    return rows;
  }

  TemporaryDirectory directory_;
  Row embeddings_;
};

TEST(AxSimWriter, RefusesWhatIsNotSimulated) {
  for (const RandomModel& model :
       {RandomModel{.family = "qwen3"}, RandomModel{.llama3_rope = true}}) {
    const TemporaryDirectory directory;
    write_random_model(directory / "hf", model);
    SimModelOptions options;
    options.source = directory / "hf";
    options.out_base = directory.path();
    options.name = "sim";
    EXPECT_THROW(write_sim_model(options), std::runtime_error);
  }
}

TEST_F(AxSimCompute, EveryGroupGivesTheSameBits) {
  const SimSession session;
  const std::vector<Row> tokens = rows({3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8});
  const auto part = [&](std::ptrdiff_t first, std::ptrdiff_t last) {
    return std::vector<Row>(tokens.begin() + first, tokens.begin() + last);
  };
  Pipeline decode = pipeline("decode", {}, 0);
  std::vector<Row> expected;
  for (const Row& token : tokens) expected.push_back(decode.run(0, {token})[0]);
  EXPECT_EQ(rt().counters().decode_runs, 24U);

  // A full chunk and a part of one; then ones with more history; then decode after each.
  Pipeline two = pipeline("two", {}, 8);
  Pipeline two_placeholder = pipeline("two_placeholder", {}, 8, true);
  Pipeline context = pipeline("context", {8, 16}, 8);
  EXPECT_EQ(two.run(1, part(0, 8))[7], expected[7]);
  EXPECT_EQ(two_placeholder.run(1, part(0, 5))[4], expected[4]);
  EXPECT_EQ(context.run(1, part(0, 5))[4], expected[4]);
  EXPECT_EQ(context.run(2, part(5, 8))[2], expected[7]);
  EXPECT_EQ(context.run(3, part(8, 11))[2], expected[10]);
  EXPECT_EQ(context.run(0, part(11, 12))[0], expected[11]);
  EXPECT_EQ(context.caches(), decode.caches());
  for (std::size_t i = 8; i < 12; ++i) EXPECT_EQ(two.run(0, {tokens[i]})[0], expected[i]);
  EXPECT_EQ(two.caches(), decode.caches());
  EXPECT_EQ(rt().counters().prefill_runs, 10U);
  EXPECT_EQ(rt().counters().prefill_rows, 2U * (8 + 5 + 5 + 3 + 3));
  EXPECT_EQ(rt().counters().violations, 0U);
}

TEST_F(AxSimCompute, LogitsAreThoseOfTheCpuEngine) {
  const SimSession session;
  const std::vector<Row> tokens = rows({7, 30, 12, 49, 0, 23});
  Pipeline npu = pipeline("npu", {}, 8);
  const Row logits = npu.logits(npu.run(1, tokens).back(), 50);

  const auto cpu = runner::load_cpu_model(directory_ / "hf", 64, {});
  const auto engine = runner::make_cpu_engine(cpu.weights, std::make_shared<runner::ThreadPool>(1));
  const auto cache = engine->new_cache();
  std::vector<runner::Bf16> values;
  for (const Row& row : tokens) {
    for (const std::uint16_t bits : row) values.push_back(runner::Bf16{bits});
  }
  const auto answer = engine->prefill({values, kHiddenWidth}, *cache, {});
  const auto expected = std::get<std::span<const float>>(answer);
  ASSERT_EQ(expected.size(), logits.size());
  float largest = 0;
  float difference = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    largest = std::max(largest, std::fabs(expected[i]));
    difference =
        std::max(difference, std::fabs(expected[i] - runner::to_float(runner::Bf16{logits[i]})));
  }
  EXPECT_LT(difference, 0.02F * largest);  // bf16 between layers
}

}  // namespace
