#include "runner/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "runner/error.h"

namespace runner {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kScoreInfinity = std::numeric_limits<float>::infinity();

SamplerOptions no_sampling() {
  SamplerOptions options;
  options.enable_top_k = false;
  return options;
}

SamplerOptions top_k(int k) {
  SamplerOptions options;
  options.top_k = k;
  return options;
}

SamplerOptions top_p(float p) {
  SamplerOptions options;
  options.enable_top_p = true;
  options.top_p = p;
  return options;
}

SamplerOptions with_temperature(SamplerOptions options, float temperature) {
  options.enable_temperature = true;
  options.temperature = temperature;
  return options;
}

SamplerOptions with_penalty(SamplerOptions options, float penalty, int window) {
  options.enable_repetition_penalty = true;
  options.repetition_penalty = penalty;
  options.penalty_window = window;
  return options;
}

Logits logits(const std::vector<float>& values) { return std::span<const float>(values); }

TokenId sample(const SamplerOptions& options, const std::vector<float>& values,
               const std::vector<TokenId>& generated = {}) {
  return Sampler(options, 1).sample(logits(values), generated);
}

std::string error_of(ErrorCode code, const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  return "no Error";
}

// The shares of `draws` draws, all from one sampler.
std::vector<int> draw(const SamplerOptions& options, const Logits& values, std::size_t vocab,
                      int draws) {
  Sampler sampler(options, 20240131);
  std::vector<int> counts(vocab);
  for (int i = 0; i < draws; ++i) ++counts[static_cast<std::size_t>(sampler.sample(values, {}))];
  return counts;
}

// Pearson's test of `counts` against probabilities that need not sum to 1. The limit is the mean of
// the chi-square distribution and five of its standard deviations; the seed is fixed.
void expect_distribution(const std::vector<int>& counts, const std::vector<double>& weights) {
  double total = 0;
  double weight_total = 0;
  for (const int count : counts) total += count;
  for (const double weight : weights) weight_total += weight;
  double chi_square = 0;
  double freedom = -1;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double expected = total * weights[i] / weight_total;
    if (expected == 0) {
      EXPECT_EQ(counts[i], 0) << "token " << i;
      continue;
    }
    chi_square += (counts[i] - expected) * (counts[i] - expected) / expected;
    freedom += 1;
  }
  EXPECT_LE(chi_square, freedom + 5 * std::sqrt(2 * freedom));
}

TEST(Sampler, GreedyTakesTheBestTokenAndTheLowestOfEqualOnes) {
  EXPECT_EQ(sample(no_sampling(), {0.5F, 2.0F, -1.0F}), 1);
  EXPECT_EQ(sample(no_sampling(), {1.0F, 3.0F, 3.0F, 3.0F}), 1);
  EXPECT_EQ(sample(no_sampling(), {-5.0F, -4.0F}), 1);
  EXPECT_EQ(sample(top_k(1), {1.0F, 3.0F, 3.0F}), 1);
  EXPECT_EQ(sample(with_temperature(no_sampling(), 5.0F), {1.0F, 3.0F, 3.0F}), 1);
}

TEST(Sampler, NumbersThatAreNoneAreNeverTaken) {
  EXPECT_EQ(sample(no_sampling(), {kNan, 1.0F, kNan}), 1);
  EXPECT_EQ(sample(no_sampling(), {kNan, -kScoreInfinity, -7.0F}), 2);
  EXPECT_EQ(sample(no_sampling(), {1.0F, kScoreInfinity}), 1);
  for (const SamplerOptions& options : {no_sampling(), top_k(3), top_p(0.9F), top_p(1.0F)}) {
    EXPECT_EQ(sample(options, {kNan, -kScoreInfinity, -7.0F, kNan}), 2);
    EXPECT_EQ(sample(options, {5.0F, kScoreInfinity, kNan}), 1);
    EXPECT_EQ(error_of(ErrorCode::kEngineFailed,
                       [&] {
                         sample(options, {kNan, -kScoreInfinity});
                       }),
              "none of the 2 scores of the next token is a number");
    EXPECT_EQ(error_of(ErrorCode::kEngineFailed, [&] { sample(options, {}); }),
              "none of the 0 scores of the next token is a number");
  }
}

TEST(Sampler, TopKDrawsFromTheBestOnesByTheirProbabilities) {
  const std::vector<float> values{1.0F, 0.0F, 2.0F, 0.5F, 1.5F, -3.0F};
  std::vector<double> weights;
  for (const float value : values) weights.push_back(std::exp(double{value}));
  weights[1] = weights[3] = weights[5] = 0;
  expect_distribution(draw(top_k(3), logits(values), 6, 50'000), weights);
}

TEST(Sampler, TopKBeyondTheVocabularyDrawsFromAll) {
  const std::vector<float> values{1.0F, 0.0F, 2.0F};
  expect_distribution(draw(top_k(100), logits(values), 3, 50'000),
                      {std::exp(1.0), 1.0, std::exp(2.0)});
}

TEST(Sampler, TopKKeepsTheLowestIdsOfEqualScores) {
  const std::vector<float> values{0.0F, 1.0F, 1.0F, 1.0F, 2.0F, 1.0F};
  expect_distribution(draw(top_k(3), logits(values), 6, 20'000),
                      {0, std::exp(1.0), std::exp(1.0), 0, std::exp(2.0), 0});
}

TEST(Sampler, TopPDrawsFromTheFewestThatReachIt) {
  // Probabilities 0.1, 0.4, 0.2, 0.3.
  std::vector<float> values;
  for (const double share : {0.1, 0.4, 0.2, 0.3}) {
    values.push_back(static_cast<float>(std::log(share)));
  }
  expect_distribution(draw(top_p(0.3F), logits(values), 4, 10'000), {0, 1, 0, 0});
  expect_distribution(draw(top_p(0.45F), logits(values), 4, 50'000), {0, 0.4, 0, 0.3});
  expect_distribution(draw(top_p(0.85F), logits(values), 4, 50'000), {0, 0.4, 0.2, 0.3});
  expect_distribution(draw(top_p(1.0F), logits(values), 4, 50'000), {0.1, 0.4, 0.2, 0.3});
}

TEST(Sampler, TopPGoesBeforeTopK) {
  SamplerOptions options = top_p(0.99F);
  options.top_k = 1;
  const std::vector<int> counts = draw(options, logits({0.0F, 0.0F}), 2, 1000);
  EXPECT_GT(counts[0], 400);
  EXPECT_GT(counts[1], 400);
}

TEST(Sampler, TopPMatchesAFullSortOnALargeVocabulary) {
  std::mt19937 random(3);
  std::vector<float> values(2000);
  for (float& value : values) value = static_cast<float>(random() % 2000) / 200.0F;
  std::vector<std::size_t> order(values.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return values[a] > values[b]; });
  double total = 0;
  for (const float value : values) total += std::exp(double{value});
  for (const float p : {0.001F, 0.1F, 0.5F, 0.9F}) {
    std::vector<bool> kept(values.size());
    double reached = 0;
    for (std::size_t i = 0; i < order.size() && reached < double{p} * total; ++i) {
      kept[order[i]] = true;
      reached += std::exp(double{values[order[i]]});
    }
    const std::vector<int> counts = draw(top_p(p), logits(values), values.size(), 100);
    for (std::size_t i = 0; i < counts.size(); ++i) EXPECT_TRUE(counts[i] == 0 || kept[i]);
  }
}

TEST(Sampler, TemperatureFlattensOrSharpens) {
  const std::vector<float> values{0.0F, 1.0F, 2.0F};
  expect_distribution(draw(with_temperature(top_k(3), 2.0F), logits(values), 3, 50'000),
                      {1.0, std::exp(0.5), std::exp(1.0)});
  expect_distribution(draw(with_temperature(top_k(3), 0.5F), logits(values), 3, 50'000),
                      {1.0, std::exp(2.0), std::exp(4.0)});
}

TEST(Sampler, TemperatureZeroCountsAsOneHundredth) {
  // 0.005 / 0.01 = 0.5
  const std::vector<float> values{0.0F, 0.005F};
  for (const float temperature : {0.0F, 0.01F, 1e-30F}) {
    expect_distribution(draw(with_temperature(top_k(2), temperature), logits(values), 2, 50'000),
                        {1.0, std::exp(0.5)});
  }
}

TEST(Sampler, PenaltyDividesByItsSquareRootOncePerToken) {
  const SamplerOptions options = with_penalty(no_sampling(), 4.0F, 50);
  // 6 / sqrt(4) = 3 stays above 2.9, falls below 3.1; a second time would give 1.5.
  EXPECT_EQ(sample(options, {6.0F, 2.9F}, {0}), 0);
  EXPECT_EQ(sample(options, {6.0F, 3.1F}, {0}), 1);
  EXPECT_EQ(sample(options, {6.0F, 2.9F}, {0, 0, 0}), 0);
  // -1 * 2 = -2
  EXPECT_EQ(sample(options, {-1.0F, -1.9F}, {0}), 1);
  EXPECT_EQ(sample(options, {-1.0F, -2.1F}, {0}), 0);
  // Both penalized: as before.
  EXPECT_EQ(sample(options, {6.0F, 3.1F}, {1, 0}), 0);
}

TEST(Sampler, PenaltyChangesTheDistribution) {
  SamplerOptions options = with_penalty(top_k(2), 4.0F, 10);
  Sampler sampler(options, 5);
  const std::vector<float> values{2.0F, 1.0F, -9.0F};
  const std::vector<TokenId> generated{0};
  std::vector<int> counts(3);
  for (int i = 0; i < 50'000; ++i) {
    ++counts[static_cast<std::size_t>(sampler.sample(logits(values), generated))];
  }
  expect_distribution(counts, {std::exp(1.0), std::exp(1.0), 0});
}

TEST(Sampler, PenaltyLooksBackAtTheWindowOnly) {
  const std::vector<float> values{6.0F, 5.0F, 4.0F};
  EXPECT_EQ(sample(with_penalty(no_sampling(), 4.0F, 2), values, {0, 1, 2}), 0);
  EXPECT_EQ(sample(with_penalty(no_sampling(), 4.0F, 3), values, {0, 1, 1}), 2);
  EXPECT_EQ(sample(with_penalty(no_sampling(), 4.0F, 0), values, {0, 1, 2}), 0);
  EXPECT_EQ(sample(with_penalty(no_sampling(), 4.0F, 2'000'000'000), values, {0, 1, 1}), 2);
  EXPECT_EQ(sample(with_penalty(no_sampling(), 1.0F, 50), values, {0, 1, 2}), 0);
  // Ids that are no row of the logits do no harm.
  EXPECT_EQ(sample(with_penalty(no_sampling(), 4.0F, 50), values, {-1, 3, 1'000'000}), 0);
}

TEST(Sampler, TheSeedDecides) {
  std::vector<float> values(1000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 37) * 0.1F;
  const auto answer = [&](std::uint64_t seed) {
    Sampler sampler(top_k(50), seed);
    std::vector<TokenId> tokens;
    for (int i = 0; i < 50; ++i) tokens.push_back(sampler.sample(logits(values), tokens));
    return tokens;
  };
  EXPECT_EQ(answer(7), answer(7));
  EXPECT_NE(answer(7), answer(8));
}

// Two draws from fair coins, worked out from mt19937_64's published numbers (its 10,000th with the
// default seed is 9981545732273789042): the tokens may not depend on the compiler.
TEST(Sampler, DrawsAreTheSameEverywhere) {
  std::mt19937_64 random(42);
  Sampler sampler(top_k(4), 42);
  const std::vector<float> values{0.0F, 0.0F, 0.0F, 0.0F};
  for (int i = 0; i < 100; ++i) {
    const auto expected = static_cast<TokenId>(random() >> 62U);
    EXPECT_EQ(sampler.sample(logits(values), {}), expected);
  }
}

TEST(Sampler, TakesBf16Logits) {
  const std::vector<Bf16> values{to_bf16(1.0F), to_bf16(-2.0F), to_bf16(3.0F), to_bf16(3.0F)};
  EXPECT_EQ(Sampler(no_sampling(), 1).sample(std::span<const Bf16>(values), {}), 2);
  expect_distribution(draw(top_k(2), std::span<const Bf16>(values), 4, 20'000), {0, 0, 1, 1});
}

TEST(Sampler, TakesListsOfTheBest) {
  const std::vector<ScoredToken> list{{700, 3.0F}, {5, 3.0F}, {40, 1.0F}, {2, 0.0F}};
  const std::span<const ScoredToken> best(list);
  EXPECT_EQ(Sampler(no_sampling(), 1).sample(best, {}), 5);
  const std::vector<int> counts = draw(top_k(3), best, 701, 50'000);
  expect_distribution({counts[5], counts[40], counts[700]},
                      {std::exp(3.0), std::exp(1.0), std::exp(3.0)});
  const std::vector<TokenId> generated{5, 700};
  EXPECT_EQ(Sampler(with_penalty(no_sampling(), 100.0F, 50), 1).sample(best, generated), 40);
}

TEST(Sampler, TheFormsOfLogitsMayChangeFromCallToCall) {
  Sampler sampler(no_sampling(), 1);
  const std::vector<ScoredToken> list{{9, 3.0F}};
  EXPECT_EQ(sampler.sample(std::span<const ScoredToken>(list), {}), 9);
  EXPECT_EQ(sampler.sample(logits({1.0F, 2.0F}), {}), 1);
}

TEST(Sampler, RefusesValuesOutOfRange) {
  const auto refusal = [](const SamplerOptions& options) {
    return error_of(ErrorCode::kBadOption, [&] { Sampler(options, 1); });
  };
  EXPECT_EQ(refusal(top_k(0)), "top_k must be at least 1, got 0");
  EXPECT_EQ(refusal(top_p(0.0F)), "top_p must be more than 0 and at most 1, got 0.000000");
  EXPECT_EQ(refusal(top_p(1.5F)), "top_p must be more than 0 and at most 1, got 1.500000");
  EXPECT_NE(refusal(top_p(kNan)), "no Error");
  EXPECT_EQ(refusal(with_temperature(no_sampling(), -1.0F)),
            "temperature must be a number from 0, got -1.000000");
  EXPECT_NE(refusal(with_temperature(no_sampling(), kScoreInfinity)), "no Error");
  EXPECT_EQ(refusal(with_penalty(no_sampling(), 0.0F, 5)),
            "repetition_penalty must be more than 0, got 0.000000");
  EXPECT_EQ(refusal(with_penalty(no_sampling(), 1.1F, -1)),
            "penalty_window must be at least 0, got -1");
  SamplerOptions off = no_sampling();
  off.top_k = 0;
  off.top_p = 7;
  off.temperature = -1;
  off.repetition_penalty = 0;
  EXPECT_EQ(refusal(off), "no Error");
}

TEST(Sampler, RefusesWhatAListCannotServe) {
  const auto refusal = [](const SamplerOptions& options, int list_tokens) {
    return error_of(ErrorCode::kBadOption, [&] { check_options_for_list(options, list_tokens); });
  };
  EXPECT_EQ(refusal(no_sampling(), 1), "no Error");
  EXPECT_EQ(refusal(with_temperature(top_k(40), 0.7F), 40), "no Error");
  EXPECT_EQ(refusal(top_k(41), 40),
            "top_k can be at most 40, got 41; this model gives the scores of its 40 best tokens "
            "only");
  EXPECT_NE(refusal(top_p(0.9F), 40).find("top_p sampling needs"), std::string::npos);
  EXPECT_EQ(refusal(with_penalty(top_k(10), 1.2F, 30), 40), "no Error");
  EXPECT_NE(refusal(with_penalty(top_k(10), 1.2F, 31), 40).find("penalty_window can be at most 30"),
            std::string::npos);
  EXPECT_NE(refusal(with_penalty(top_k(10), 0.9F, 5), 40).find("below 1"), std::string::npos);
  EXPECT_EQ(refusal(with_penalty(top_k(40), 1.0F, 50), 40), "no Error");
}

}  // namespace
}  // namespace runner
