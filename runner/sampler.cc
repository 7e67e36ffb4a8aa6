#include "runner/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>

#include "runner/error.h"

namespace runner {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
constexpr float kLowestTemperature = 0.01F;
// The window may be "all tokens", written as a huge number: this many are reserved beforehand.
constexpr int kMostReservedTokens = 1 << 16;

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorCode::kBadOption, what); }

// Best first; of equal ones the lower id.
bool is_better(const ScoredToken& left, const ScoredToken& right) {
  return left.score > right.score || (left.score == right.score && left.id < right.id);
}

// In [0, 1) from the upper 53 bits: std::uniform_real_distribution leaves the method to the
// library, and so the tokens would depend on it.
double uniform(std::mt19937_64& random) { return static_cast<double>(random() >> 11U) * 0x1p-53; }

// exp(score - best), where the best one has weight 1 even if it is infinite.
double weight(float score, float best) {
  return score == best ? 1.0 : std::exp(static_cast<double>(score) - static_cast<double>(best));
}

}  // namespace

void check_sampler_options(const SamplerOptions& options) {
  // Written so that NaN fails too.
  if (options.enable_temperature &&
      !(options.temperature >= 0 && std::isfinite(options.temperature))) {
    refuse("temperature must be a number from 0, got " + std::to_string(options.temperature));
  }
  if (options.enable_top_p && !(options.top_p > 0 && options.top_p <= 1)) {
    refuse("top_p must be more than 0 and at most 1, got " + std::to_string(options.top_p));
  }
  if (options.enable_top_k && options.top_k < 1) {
    refuse("top_k must be at least 1, got " + std::to_string(options.top_k));
  }
  if (!options.enable_repetition_penalty) return;
  if (!(options.repetition_penalty > 0 && std::isfinite(options.repetition_penalty))) {
    refuse("repetition_penalty must be more than 0, got " +
           std::to_string(options.repetition_penalty));
  }
  if (options.penalty_window < 0) {
    refuse("penalty_window must be at least 0, got " + std::to_string(options.penalty_window));
  }
}

void check_options_for_list(const SamplerOptions& options, int list_tokens) {
  const std::string have =
      "; this model gives the scores of its " + std::to_string(list_tokens) + " best tokens only";
  if (options.enable_top_p) refuse("top_p sampling needs the scores of all tokens" + have);
  const int wanted = options.enable_top_k ? options.top_k : 1;
  if (wanted > list_tokens) {
    refuse("top_k can be at most " + std::to_string(list_tokens) + ", got " +
           std::to_string(wanted) + have);
  }
  if (!options.enable_repetition_penalty) return;
  if (options.repetition_penalty < 1) {
    refuse("a repetition_penalty below 1 needs the scores of all tokens" + have);
  }
  // At most penalty_window listed tokens can fall behind unlisted ones.
  if (options.repetition_penalty > 1 && options.penalty_window > list_tokens - wanted) {
    refuse("penalty_window can be at most " + std::to_string(list_tokens - wanted) +
           " with top_k " + std::to_string(wanted) + ", got " +
           std::to_string(options.penalty_window) + have);
  }
}

Sampler::Sampler(const SamplerOptions& options, std::uint64_t seed)
    : options_(options), random_(seed) {
  check_sampler_options(options_);
  if (options_.enable_repetition_penalty) {
    recent_.reserve(
        static_cast<std::size_t>(std::min(options_.penalty_window, kMostReservedTokens)));
  }
}

TokenId Sampler::sample(const Logits& logits, std::span<const TokenId> generated) {
  load(logits);
  if (options_.enable_repetition_penalty) penalize(generated);
  if (options_.enable_top_p) {
    keep_top_p();
  } else if (options_.enable_top_k && options_.top_k > 1) {
    keep_top_k();
  } else {
    return best();
  }
  return draw();
}

void Sampler::load(const Logits& logits) {
  const float temperature =
      options_.enable_temperature ? std::max(options_.temperature, kLowestTemperature) : 1.0F;
  const auto fill = [&](auto values, auto score_of) {
    scores_.resize(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      const float score = score_of(values[i]) / temperature;
      scores_[i] = std::isnan(score) ? kMinusInfinity : score;
    }
  };
  list_ = {};
  if (const auto* floats = std::get_if<std::span<const float>>(&logits)) {
    fill(*floats, [](float value) { return value; });
  } else if (const auto* halves = std::get_if<std::span<const Bf16>>(&logits)) {
    fill(*halves, [](Bf16 value) { return to_float(value); });
  } else if (const auto* list = std::get_if<std::span<const ScoredToken>>(&logits)) {
    list_ = *list;
    fill(*list, [](const ScoredToken& token) { return token.score; });
  } else {
    scores_.clear();
  }
  if (std::all_of(scores_.begin(), scores_.end(),
                  [](float score) { return score == kMinusInfinity; })) {
    throw Error(ErrorCode::kEngineFailed, "none of the " + std::to_string(scores_.size()) +
                                              " scores of the next token is a number");
  }
}

void Sampler::penalize(std::span<const TokenId> generated) {
  const auto window = static_cast<std::size_t>(options_.penalty_window);
  const auto last = generated.last(std::min(window, generated.size()));
  recent_.assign(last.begin(), last.end());
  std::sort(recent_.begin(), recent_.end());
  recent_.erase(std::unique(recent_.begin(), recent_.end()), recent_.end());

  const float divisor = std::sqrt(options_.repetition_penalty);
  const auto apply = [divisor](float& score) {
    score = score > 0 ? score / divisor : score * divisor;
  };
  if (list_.empty()) {
    for (const TokenId id : recent_) {
      const auto index = static_cast<std::size_t>(id);
      if (id >= 0 && index < scores_.size()) apply(scores_[index]);
    }
  } else {
    for (std::size_t i = 0; i < list_.size(); ++i) {
      if (std::binary_search(recent_.begin(), recent_.end(), list_[i].id)) apply(scores_[i]);
    }
  }
}

TokenId Sampler::id_of(std::size_t index) const {
  return list_.empty() ? static_cast<TokenId>(index) : list_[index].id;
}

TokenId Sampler::best() const {
  ScoredToken best{id_of(0), scores_[0]};
  for (std::size_t i = 1; i < scores_.size(); ++i) {
    const ScoredToken token{id_of(i), scores_[i]};
    if (is_better(token, best)) best = token;
  }
  return best.id;
}

// One pass with a heap of the best so far, its worst on top: few tokens of a large vocabulary get
// past the first comparison.
void Sampler::keep_top_k() {
  const auto most = std::min(static_cast<std::size_t>(options_.top_k), scores_.size());
  ranked_.clear();
  ranked_.reserve(most);
  for (std::size_t i = 0; i < scores_.size(); ++i) {
    const ScoredToken token{id_of(i), scores_[i]};
    if (ranked_.size() == most) {
      if (!is_better(token, ranked_.front())) continue;
      std::pop_heap(ranked_.begin(), ranked_.end(), is_better);
      ranked_.pop_back();
    }
    ranked_.push_back(token);
    std::push_heap(ranked_.begin(), ranked_.end(), is_better);
  }
  std::sort_heap(ranked_.begin(), ranked_.end(), is_better);
}

// A token with less than (1 - p)/n of the probability is never needed to reach p: the n tokens
// from it on could not make up the rest. The others become a heap, from which only those needed
// are taken in order.
void Sampler::keep_top_p() {
  const float highest = *std::max_element(scores_.begin(), scores_.end());
  double total = 0;
  for (const float score : scores_) total += weight(score, highest);
  const double wanted = static_cast<double>(options_.top_p) * total;
  const double least = (total - wanted) / static_cast<double>(scores_.size());
  // In logits; a little lower, for the rounding of the sums.
  const double lowest = highest + std::log(least * 0.999);

  ranked_.clear();
  ranked_.reserve(scores_.size());
  for (std::size_t i = 0; i < scores_.size(); ++i) {
    if (!(scores_[i] < lowest)) ranked_.push_back({id_of(i), scores_[i]});
  }
  const auto is_worse = [](const ScoredToken& left, const ScoredToken& right) {
    return is_better(right, left);
  };
  std::make_heap(ranked_.begin(), ranked_.end(), is_worse);
  auto rest = ranked_.end();  // the heap is in front of it, the tokens kept behind, worst first
  double reached = 0;
  while (rest != ranked_.begin() && (rest == ranked_.end() || reached < wanted)) {
    std::pop_heap(ranked_.begin(), rest, is_worse);
    --rest;
    reached += weight(rest->score, highest);
  }
  ranked_.erase(ranked_.begin(), rest);
  std::reverse(ranked_.begin(), ranked_.end());
}

TokenId Sampler::draw() {
  const float highest = ranked_.front().score;
  double total = 0;
  for (const ScoredToken& token : ranked_) total += weight(token.score, highest);
  double left = uniform(random_) * total;
  for (const ScoredToken& token : ranked_) {
    left -= weight(token.score, highest);
    if (left < 0) return token.id;
  }
  // Rounding may leave a little: it belongs to the last token that can be drawn at all.
  const auto last = std::find_if(ranked_.rbegin(), ranked_.rend(), [](const ScoredToken& token) {
    return token.score != kMinusInfinity;
  });
  return last->id;
}

}  // namespace runner
