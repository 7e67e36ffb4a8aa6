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
// seed and logits give the same tokens with every compiler. After the first call it allocates
// only for a larger vocabulary.
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
  void load(const Logits& logits);
  void penalize(std::span<const TokenId> generated);
  TokenId id_of(std::size_t index) const;
  TokenId best() const;
  void keep_top_k();
  void keep_top_p();
  TokenId draw();

  SamplerOptions options_;
  std::mt19937_64 random_;
  std::span<const ScoredToken> list_;  // of this call; empty for logits [vocab]
  std::vector<float> scores_;          // scratch [vocab] or [list_]
  std::vector<ScoredToken> ranked_;    // scratch: tokens to draw from, best first
  std::vector<TokenId> recent_;        // scratch: distinct tokens to penalize, ascending
};

}  // namespace runner
