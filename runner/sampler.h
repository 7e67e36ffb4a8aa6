#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "runner/engine.h"

namespace runner {

// How the next token is chosen. Defaults are those of StackFlow's llm unit 1.12, so that a
// replaced unit answers alike: top-k with k = 10. With top-p and top-k both off it is greedy.
struct SamplerOptions {
  bool enable_temperature = false;
  float temperature = 0.7F;   // from 0; less than 0.01 counts as 0.01
  bool enable_top_p = false;  // used before top-k when both are on
  float top_p = 0.7F;         // in (0, 1]
  bool enable_top_k = true;
  int top_k = 10;  // at least 1
  bool enable_repetition_penalty = false;
  float repetition_penalty = 1.2F;  // more than 0; 1 changes nothing
  int penalty_window = 50;          // from 0: tokens of this answer looked back at
};

// Throws Error(kBadOption) naming the first option that is on with a value out of its range. The
// values of options that are off do not matter.
void check_sampler_options(const SamplerOptions& options);

// For engines that give only the `list_tokens` best tokens (Logits as span<const ScoredToken>):
// throws Error(kBadOption) when `options` could choose another token than with all logits. That
// is so for top-p, for a top-k beyond the list and for a penalty that could bring in unlisted
// tokens: below 1, or with a window so large that too few listed tokens are sure to keep theirs.
void check_options_for_list(const SamplerOptions& options, int list_tokens);

// Chooses tokens from logits. One per answer, so that the random stream belongs to it. The same
// seed and logits give the same tokens on one machine; the best token and those of top-k
// everywhere. With top-p another instruction set may round the sum of all weights otherwise, and so
// keep a token more or less where the probabilities just reach `top_p`. After the first call it
// allocates only for a larger vocabulary.
class Sampler {
 public:
  // Throws what check_sampler_options() throws.
  Sampler(const SamplerOptions& options, std::uint64_t seed);

  // The next token. `generated` are the tokens of this answer so far, oldest first.
  // Order: temperature, repetition penalty, then top-p or top-k or the best token; among equal
  // scores the lowest id wins. The penalty divides positive (multiplies negative) logits by its
  // square root, once for each distinct token among the last `penalty_window` generated ones.
  // Top-p keeps the fewest best tokens whose probabilities reach `top_p`.
  // REQUIRES: has_value(logits). Throws Error(kEngineFailed) when no logit is a number above
  // minus infinity.
  TokenId sample(const Logits& logits, std::span<const TokenId> generated);

 private:
  void find_recent(std::span<const TokenId> generated);
  bool is_recent(TokenId id) const;
  float penalized(float score) const;
  void keep_from_list(std::span<const ScoredToken> list);
  template <class Value>
  void keep_from_all(std::span<const Value> logits);
  template <class Value>
  void keep_top_p(std::span<const Value> logits);
  template <class Value>
  void gather(std::span<const Value> logits, double least);
  template <class Value>
  double total_weight(std::span<const Value> logits, float highest, float best) const;
  double score_of_rank(std::size_t rank);
  bool keep_best(std::size_t most, double wanted);
  void keep_top_p_of_ranked();
  TokenId draw();

  SamplerOptions options_;
  float temperature_ = 1;
  float penalty_divisor_ = 1;
  std::size_t most_kept_ = 1;  // without top-p
  std::mt19937_64 random_;
  std::vector<float> maxima_;        // scratch: the largest logit of each block
  std::vector<float> sorted_;        // scratch: some of them, largest first
  std::vector<ScoredToken> ranked_;  // scratch: tokens to draw from, in the end best first
  std::vector<TokenId> recent_;      // scratch: distinct tokens to penalize, ascending
};

}  // namespace runner
