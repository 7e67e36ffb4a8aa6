#include "tests/runner/engine_conformance.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <stop_token>
#include <thread>

#include "runner/error.h"

using runner::Bf16;
using runner::EmbeddingView;
using runner::KvCache;

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(EngineConformance);

std::vector<float> scores_of(const runner::Logits& logits, int vocab) {
  std::vector<float> scores(static_cast<std::size_t>(vocab),
                            -std::numeric_limits<float>::infinity());
  if (const auto* floats = std::get_if<std::span<const float>>(&logits)) {
    scores.assign(floats->begin(), floats->end());
  } else if (const auto* halves = std::get_if<std::span<const Bf16>>(&logits)) {
    std::ranges::transform(*halves, scores.begin(), runner::to_float);
  } else if (const auto* list = std::get_if<std::span<const runner::ScoredToken>>(&logits)) {
    for (const auto& token : *list) scores[static_cast<std::size_t>(token.id)] = token.score;
  } else {
    ADD_FAILURE() << "the engine gave no logits";
  }
  return scores;
}

std::vector<Bf16> EngineConformance::random_rows(int count, unsigned seed) const {
  std::mt19937 random(seed);
  std::vector<Bf16> rows(static_cast<std::size_t>(count) *
                         static_cast<std::size_t>(shape().hidden));
  for (Bf16& value : rows) {
    value = runner::to_bf16(static_cast<float>(random() % 2001) / 1000.0F - 1.0F);
  }
  return rows;
}

void EngineConformance::expect_same(const std::vector<float>& actual,
                                    const std::vector<float>& expected) const {
  ASSERT_EQ(actual.size(), expected.size());
  float largest = 0;
  for (const float score : expected) {
    if (std::isfinite(score)) largest = std::max(largest, std::fabs(score));
  }
  const float allowed = GetParam().tolerance * largest;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (std::bit_cast<std::uint32_t>(actual[i]) == std::bit_cast<std::uint32_t>(expected[i])) {
      continue;
    }
    if (std::fabs(actual[i] - expected[i]) <= allowed && allowed > 0) continue;
    FAIL() << "logit " << i << " is " << actual[i] << ", expected " << expected[i] << " +- "
           << allowed;
  }
}

TEST_P(EngineConformance, ShapeIsStated) {
  EXPECT_GT(shape().layers, 0);
  EXPECT_GT(shape().hidden, 0);
  EXPECT_GT(shape().vocab, 0);
  const auto cache = engine_->new_cache();
  EXPECT_EQ(cache->length(), 0);
  EXPECT_EQ(cache->capacity(), shape().context);
}

TEST_P(EngineConformance, LogitsAreFiniteAndOnePerToken) {
  const auto rows = random_rows(3, 1);
  const auto cache = engine_->new_cache();
  const auto scores = scores_of(engine_->prefill(view(rows), *cache, {}), shape().vocab);
  EXPECT_EQ(cache->length(), 3);
  ASSERT_EQ(scores.size(), static_cast<std::size_t>(shape().vocab));
  EXPECT_TRUE(std::ranges::any_of(scores, [](float score) { return std::isfinite(score); }));
  EXPECT_TRUE(std::ranges::none_of(scores, [](float score) { return std::isnan(score); }));
}

TEST_P(EngineConformance, PrefillInOneCallEqualsPrefillInPieces) {
  const int count = shape().context;
  const auto rows = random_rows(count, 2);
  const auto whole = engine_->new_cache();
  const auto expected = scores_of(engine_->prefill(view(rows), *whole, {}), shape().vocab);
  for (const int piece : {count - 1, count / 2, 17, 7}) {
    SCOPED_TRACE(testing::Message() << "pieces of " << piece << " rows");
    const auto cache = engine_->new_cache();
    runner::Logits logits;
    for (int first = 0; first < count; first += piece) {
      logits =
          engine_->prefill(view(rows).slice(first, std::min(piece, count - first)), *cache, {});
    }
    EXPECT_EQ(cache->length(), count);
    expect_same(scores_of(logits, shape().vocab), expected);
  }
}

TEST_P(EngineConformance, AppendedRowsArePartOfWhatIsPrefilled) {
  const auto rows = random_rows(36, 11);
  const auto whole = engine_->new_cache();
  const auto expected = scores_of(engine_->prefill(view(rows), *whole, {}), shape().vocab);
  const auto cache = engine_->new_cache();
  EXPECT_TRUE(engine_->append(view(rows).slice(0, 9), *cache, {}));
  EXPECT_EQ(cache->length(), 9);
  EXPECT_TRUE(engine_->append(view(rows).slice(9, 20), *cache, {}));
  cache->truncate(20);
  EXPECT_TRUE(engine_->append(view(rows).slice(20, 15), *cache, {}));
  EXPECT_EQ(cache->length(), 35);
  expect_same(scores_of(engine_->decode(view(rows).slice(35, 1), *cache), shape().vocab), expected);
  cache->truncate(30);
  expect_same(scores_of(engine_->prefill(view(rows).slice(30, 6), *cache, {}), shape().vocab),
              expected);
}

TEST_P(EngineConformance, PrefillEqualsDecodeRowByRow) {
  constexpr int kCount = 37;
  const auto rows = random_rows(kCount, 3);
  const auto step_by_step = engine_->new_cache();
  for (int length = 1; length <= kCount; ++length) {
    const auto decoded =
        scores_of(engine_->decode(view(rows).slice(length - 1, 1), *step_by_step), shape().vocab);
    EXPECT_EQ(step_by_step->length(), length);
    if (length > 3 && length < kCount - 3) continue;
    SCOPED_TRACE(testing::Message() << length << " rows");
    const auto cache = engine_->new_cache();
    const auto prefilled =
        scores_of(engine_->prefill(view(rows).slice(0, length), *cache, {}), shape().vocab);
    expect_same(decoded, prefilled);
  }
}

TEST_P(EngineConformance, TruncateThenReplayRepeatsTheLogits) {
  const auto rows = random_rows(40, 4);
  const auto other = random_rows(20, 5);
  const auto cache = engine_->new_cache();
  const auto expected = scores_of(engine_->prefill(view(rows), *cache, {}), shape().vocab);
  for (const int kept : {39, 20, 1, 0}) {
    SCOPED_TRACE(testing::Message() << kept << " rows kept");
    cache->truncate(kept);
    EXPECT_EQ(cache->length(), kept);
    engine_->prefill(view(other).slice(0, std::min(20, 40 - kept)), *cache, {});  // overwrites
    cache->truncate(kept);
    expect_same(
        scores_of(engine_->prefill(view(rows).slice(kept, 40 - kept), *cache, {}), shape().vocab),
        expected);
  }
}

TEST_P(EngineConformance, CapacityIsRefusedNotOverrun) {
  const int capacity = shape().context;
  const auto rows = random_rows(capacity + 1, 6);
  const auto cache = engine_->new_cache();
  const auto refused = [&](auto&& call) {
    const int before = cache->length();
    try {
      call();
      ADD_FAILURE() << "was not refused at length " << before;
    } catch (const runner::Error& error) {
      EXPECT_EQ(error.code(), runner::ErrorCode::kPromptTooLong);
      EXPECT_NE(std::string(error.what()).find(std::to_string(capacity)), std::string::npos)
          << error.what();
    }
    EXPECT_EQ(cache->length(), before);
  };
  refused([&] { engine_->prefill(view(rows), *cache, {}); });

  engine_->prefill(view(rows).slice(0, capacity - 1), *cache, {});
  refused([&] { engine_->prefill(view(rows).slice(0, 2), *cache, {}); });
  const auto last =
      scores_of(engine_->prefill(view(rows).slice(capacity - 1, 1), *cache, {}), shape().vocab);
  EXPECT_EQ(cache->length(), capacity);
  refused([&] { engine_->prefill(view(rows).slice(capacity, 1), *cache, {}); });
  refused([&] { engine_->decode(view(rows).slice(capacity, 1), *cache); });

  // What was refused left no trace.
  cache->truncate(capacity - 1);
  expect_same(scores_of(engine_->decode(view(rows).slice(capacity - 1, 1), *cache), shape().vocab),
              last);
}

TEST_P(EngineConformance, TwoCachesDoNotDisturbEachOther) {
  const auto one = random_rows(30, 7);
  const auto two = random_rows(30, 8);
  const auto alone = engine_->new_cache();
  const auto expected_one = scores_of(engine_->prefill(view(one), *alone, {}), shape().vocab);
  alone->truncate(0);
  const auto expected_two = scores_of(engine_->prefill(view(two), *alone, {}), shape().vocab);

  const auto cache_one = engine_->new_cache();
  const auto cache_two = engine_->new_cache();
  std::vector<float> scores_one;
  std::vector<float> scores_two;
  for (int first = 0; first < 30; first += 5) {
    scores_one =
        scores_of(engine_->prefill(view(one).slice(first, 5), *cache_one, {}), shape().vocab);
    scores_two =
        scores_of(engine_->prefill(view(two).slice(first, 5), *cache_two, {}), shape().vocab);
  }
  expect_same(scores_one, expected_one);
  expect_same(scores_two, expected_two);
}

TEST_P(EngineConformance, TwoEnginesGiveTheSameLogits) {
  const auto rows = random_rows(20, 9);
  const auto other = GetParam().make();
  const auto cache = engine_->new_cache();
  const auto other_cache = other->new_cache();
  const auto expected = scores_of(engine_->prefill(view(rows), *cache, {}), shape().vocab);
  expect_same(scores_of(other->prefill(view(rows), *other_cache, {}), shape().vocab), expected);
}

TEST_P(EngineConformance, StoppedBeforeItBeginsGivesNothing) {
  const auto rows = random_rows(10, 10);
  const auto cache = engine_->new_cache();
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(has_value(engine_->prefill(view(rows), *cache, stop.get_token())));
  EXPECT_LT(cache->length(), 10);
}

TEST_P(EngineConformance, StopDuringPrefillLeavesFinishedRows) {
  const int count = shape().context;
  const auto rows = random_rows(count, 11);
  const auto whole = engine_->new_cache();
  const auto expected = scores_of(engine_->prefill(view(rows), *whole, {}), shape().vocab);
  // Wherever the stop falls, the rest behind the finished rows gives the same logits.
  for (int delay = 0; delay < 8; ++delay) {
    const auto cache = engine_->new_cache();
    std::stop_source stop;
    std::atomic<bool> begun = false;
    std::jthread stopper([&] {
      begun.wait(false);
      for (int i = 0; i < delay; ++i) std::this_thread::yield();
      stop.request_stop();
    });
    begun = true;
    begun.notify_one();
    auto logits = engine_->prefill(view(rows), *cache, stop.get_token());
    const int done = cache->length();
    ASSERT_GE(done, 0);
    ASSERT_LE(done, count);
    if (!has_value(logits)) {
      ASSERT_LT(done, count);
      logits = engine_->prefill(view(rows).slice(done, count - done), *cache, {});
    }
    expect_same(scores_of(logits, shape().vocab), expected);
  }
}
