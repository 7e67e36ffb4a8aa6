#include "runner/logit_scan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <span>
#include <vector>

#include "runner/error.h"
#include "runner/sampler.h"
#include "tests/runner/allocation_count.h"
#include "tests/runner/instruction_sets.h"

// The sampler and its vector loops against the plainest code that does the same.
namespace runner {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

class LogitScan : public InstructionSetTest {
 protected:
  // Logits of one of several kinds: usual ones, many equal ones, numbers of any size, NaN.
  std::vector<float> random_logits(std::size_t count) {
    std::normal_distribution<float> normal(random_() % 2 == 0 ? 0.0F : -20.0F, 3);
    const auto kind = random_() % 6;
    std::vector<float> values(count);
    for (float& value : values) {
      value = normal(random_);
      if (kind == 1) value = std::round(value / 4);
      if (kind == 2) value = std::bit_cast<float>(static_cast<std::uint32_t>(random_()));
      if (kind == 3 && random_() % 4 == 0) value = odd_number();
      if (kind == 4) value = 1 + value * 1e-7F;
    }
    return values;
  }
  float odd_number() {
    constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
    constexpr float kOdd[] = {kNan,  -kNan, kInfinity, -kInfinity, 0.0F,
                              -0.0F, 3e38F, -3e38F,    1e-40F,     -1e-40F};
    return kOdd[random_() % std::size(kOdd)];
  }
  template <class T>
  T one_of(std::initializer_list<T> choices) {
    return choices.begin()[random_() % choices.size()];
  }
  SamplerOptions random_options(std::size_t vocab);
  void compare(const std::vector<float>& values, const Logits& logits,
               const SamplerOptions& options);

  std::mt19937 random_{7};
};

INSTANTIATE_TEST_SUITE_P(Targets, LogitScan, testing::ValuesIn(instruction_sets()),
                         instruction_set_name);

std::vector<Bf16> halves_of(const std::vector<float>& values) {
  std::vector<Bf16> halves(values.size());
  std::ranges::transform(values, halves.begin(), to_bf16);
  return halves;
}

std::vector<float> floats_of(const std::vector<Bf16>& halves) {
  std::vector<float> values;
  for (const Bf16 half : halves) values.push_back(to_float(half));
  return values;
}

TEST_P(LogitScan, FindsTheLargestOfEachBlock) {
  for (const std::size_t count : {1U, 7U, 31U, 33U, 255U, 256U, 257U, 300U, 1000U}) {
    for (int i = 0; i < 30; ++i) {
      const std::vector<Bf16> halves = halves_of(random_logits(count));
      const std::vector<float> values = floats_of(halves);
      std::vector<float> expected(logit_scan::block_count(count), -kInfinity);
      for (std::size_t t = 0; t < count; ++t) {
        float& most = expected[t / logit_scan::kBlock];
        if (values[t] > most) most = values[t];
      }
      std::vector<float> maxima(expected.size());
      logit_scan::find_maxima(std::span<const Bf16>(halves), maxima);
      EXPECT_EQ(maxima, expected);
      logit_scan::find_maxima(std::span<const float>(values), maxima);
      EXPECT_EQ(maxima, expected);
    }
  }
}

TEST_P(LogitScan, SumsWeights) {
  for (const std::size_t count : {0U, 1U, 15U, 17U, 256U, 300U, 5000U}) {
    for (const float scale : {0.01F, 1.0F, 100.0F}) {
      std::vector<Bf16> halves(count);
      for (Bf16& half : halves) half = to_bf16(static_cast<float>(random_() % 3000) * -0.01F);
      for (const float odd : {-kInfinity, std::nanf(""), -3e38F}) halves.push_back(to_bf16(odd));
      const std::vector<float> values = floats_of(halves);
      double expected = 0;
      for (std::size_t i = 0; i < count; ++i) expected += std::exp(double{values[i]} * scale);
      const double error = expected * 1e-5 + 1e-30;  // weights below 2^-125 count as 0
      EXPECT_NEAR(logit_scan::sum_of_weights(std::span<const Bf16>(halves), 0, scale), expected,
                  error);
      EXPECT_NEAR(logit_scan::sum_of_weights(std::span<const float>(values), 0, scale), expected,
                  error);
    }
  }
}

// The tokens with their final scores, best first.
std::vector<ScoredToken> sorted_tokens(const std::vector<float>& values,
                                       const SamplerOptions& options,
                                       std::span<const TokenId> generated) {
  std::vector<bool> recent(values.size());
  const auto window = static_cast<std::size_t>(options.penalty_window);
  for (const TokenId id : generated.last(std::min(window, generated.size()))) {
    const auto index = static_cast<std::size_t>(id);
    if (options.enable_repetition_penalty && index < recent.size()) recent[index] = true;
  }
  const float divisor = std::sqrt(options.repetition_penalty);
  std::vector<ScoredToken> tokens;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isnan(values[i])) continue;
    float score = values[i];
    if (options.enable_temperature) score /= std::max(options.temperature, 0.01F);
    if (recent[i]) score = score > 0 ? score / divisor : score * divisor;
    tokens.push_back({static_cast<TokenId>(i), score});
  }
  std::ranges::stable_sort(tokens, std::greater<>(), &ScoredToken::score);
  return tokens;
}

double weight(float score, float best) {
  return score == best ? 1.0 : std::exp(double{score} - double{best});
}

// What a draw from these chooses with the first number of a seed.
TokenId drawn(std::span<const ScoredToken> tokens, std::uint64_t seed) {
  const float best = tokens.front().score;
  double total = 0;
  for (const ScoredToken& token : tokens) total += weight(token.score, best);
  double left = static_cast<double>(std::mt19937_64(seed)() >> 11U) * 0x1p-53 * total;
  TokenId last = tokens.front().id;
  for (const ScoredToken& token : tokens) {
    left -= weight(token.score, best);
    if (left < 0) return token.id;
    if (token.score > -kInfinity) last = token.id;
  }
  return last;
}

// How many tokens reach this much of the probability.
std::size_t top_p_count(std::span<const ScoredToken> tokens, double p) {
  const float best = tokens.front().score;
  double total = 0;
  for (const ScoredToken& token : tokens) total += weight(token.score, best);
  std::size_t count = 0;
  for (double reached = 0; count < tokens.size() && (count == 0 || reached < p * total); ++count) {
    reached += weight(tokens[count].score, best);
  }
  return count;
}

SamplerOptions LogitScan::random_options(std::size_t vocab) {
  SamplerOptions options;
  options.enable_temperature = random_() % 2 == 0;
  options.temperature = one_of({0.0F, 0.3F, 0.7F, 1.3F, 1e30F});
  options.enable_repetition_penalty = random_() % 2 == 0;
  options.repetition_penalty = one_of({0.25F, 0.9F, 1.0F, 1.2F, 4.0F});
  options.penalty_window = one_of({0, 1, 50, 2'000'000'000});
  options.enable_top_p = random_() % 3 == 0;
  options.top_p = one_of({0.01F, 0.3F, 0.7F, 0.95F, 1.0F});
  options.enable_top_k = random_() % 4 != 0;
  options.top_k = one_of({1, 2, 10, 1 + static_cast<int>(random_() % (vocab + 5))});
  return options;
}

void LogitScan::compare(const std::vector<float>& values, const Logits& logits,
                        const SamplerOptions& options) {
  // Half of the generated tokens are among the best; some ids are none.
  const std::vector<ScoredToken> best = sorted_tokens(values, {}, {});
  std::vector<TokenId> generated(random_() % 120);
  for (TokenId& id : generated) {
    id = static_cast<TokenId>(random_() % (values.size() + 4)) - 2;
    if (random_() % 2 == 0 && !best.empty()) id = best[random_() % std::min(best.size(), 40UL)].id;
  }
  const std::uint64_t seed = random_();
  Sampler sampler(options, seed);
  const float temperature =
      options.enable_temperature ? std::max(options.temperature, 0.01F) : 1.0F;
  if (best.empty() || best.front().score / temperature == -kInfinity) {
    EXPECT_THROW(sampler.sample(logits, generated), Error);
    return;
  }
  const std::vector<ScoredToken> tokens = sorted_tokens(values, options, generated);
  const TokenId chosen = sampler.sample(logits, generated);
  if (options.enable_top_p) {
    // Rounding of the sums and of the scores may decide.
    const double rounding = 2e-5 + 4e-7 * std::min(std::abs(double{tokens[0].score}), 1e4);
    bool found = false;
    const std::size_t most = top_p_count(tokens, options.top_p * (1 + rounding));
    for (std::size_t n = top_p_count(tokens, options.top_p * (1 - rounding)); n <= most; ++n) {
      found = found || drawn(std::span(tokens).first(n), seed) == chosen;
    }
    EXPECT_TRUE(found);
  } else if (options.enable_top_k && options.top_k > 1) {
    const std::size_t count = std::min(static_cast<std::size_t>(options.top_k), tokens.size());
    EXPECT_EQ(chosen, drawn(std::span(tokens).first(count), seed));
  } else {
    EXPECT_EQ(chosen, tokens.front().id);
  }
}

TEST_P(LogitScan, TheSamplerChoosesWhatSortingAllWould) {
  for (int i = 0; i < 60 && !HasFailure(); ++i) {
    const std::size_t vocab = 1 + random_() % (i % 30 == 0 ? 30'000 : i % 2 == 0 ? 2000 : 20);
    const std::vector<float> values = random_logits(vocab);
    const SamplerOptions options = random_options(vocab);
    SCOPED_TRACE("case " + std::to_string(i));
    if (i % 3 == 0) {
      compare(values, std::span<const float>(values), options);
    } else {
      const std::vector<Bf16> halves = halves_of(values);
      compare(floats_of(halves), std::span<const Bf16>(halves), options);
    }
  }
}

TEST(Sampler, AllocatesNothingAfterTheFirstCall) {
  if (!allocation_count()) GTEST_SKIP() << "this build cannot count allocations";
  std::mt19937 random(3);
  std::vector<Bf16> usual(20'000);
  for (Bf16& value : usual) value = to_bf16(static_cast<float>(random() % 1000) * 0.01F);
  const std::vector<Bf16> equal(usual.size(), to_bf16(1));
  std::vector<TokenId> generated(100);
  for (TokenId& id : generated) id = static_cast<TokenId>(random() % usual.size());
  for (const bool top_p : {false, true}) {
    SamplerOptions options;
    options.enable_top_p = top_p;
    options.enable_repetition_penalty = true;
    Sampler sampler(options, 1);
    sampler.sample(std::span<const Bf16>(usual), generated);
    const auto before = allocation_count();
    sampler.sample(std::span<const Bf16>(usual), generated);
    sampler.sample(std::span<const Bf16>(equal), generated);
    EXPECT_EQ(allocation_count(), before);
  }
}

}  // namespace
}  // namespace runner
