#include "runner/sampler.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>

#include "runner/error.h"
#include "runner/logit_scan.h"

namespace runner {
namespace {

using logit_scan::as_float;

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr float kLowestTemperature = 0.01F;
// The window may be "all tokens", written as a huge number: this many are reserved beforehand.
constexpr int kMostReservedTokens = 1 << 16;
// With top-p: as many tokens are tried before many more are.
constexpr std::size_t kLikelyEnough = 16;

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

void check_highest(float score, std::size_t count) {
  if (score > kMinusInfinity) return;
  throw Error(ErrorCode::kEngineFailed,
              "none of the " + std::to_string(count) + " scores of the next token is a number");
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
  if (options_.enable_temperature) {
    temperature_ = std::max(options_.temperature, kLowestTemperature);
  }
  if (options_.enable_top_k) most_kept_ = static_cast<std::size_t>(options_.top_k);
  if (options_.enable_repetition_penalty) {
    penalty_divisor_ = std::sqrt(options_.repetition_penalty);
    recent_.reserve(
        static_cast<std::size_t>(std::min(options_.penalty_window, kMostReservedTokens)));
  }
}

TokenId Sampler::sample(const Logits& logits, std::span<const TokenId> generated) {
  find_recent(generated);
  if (const auto* halves = std::get_if<std::span<const Bf16>>(&logits)) {
    keep_from_all(*halves);
  } else if (const auto* floats = std::get_if<std::span<const float>>(&logits)) {
    keep_from_all(*floats);
  } else if (const auto* list = std::get_if<std::span<const ScoredToken>>(&logits)) {
    keep_from_list(*list);
  } else {
    check_highest(kMinusInfinity, 0);
  }
  return options_.enable_top_p || most_kept_ > 1 ? draw() : ranked_.front().id;
}

void Sampler::find_recent(std::span<const TokenId> generated) {
  if (!options_.enable_repetition_penalty) return;
  const auto window = static_cast<std::size_t>(options_.penalty_window);
  const auto last = generated.last(std::min(window, generated.size()));
  recent_.assign(last.begin(), last.end());
  std::sort(recent_.begin(), recent_.end());
  recent_.erase(std::unique(recent_.begin(), recent_.end()), recent_.end());
}

bool Sampler::is_recent(TokenId id) const {
  return std::binary_search(recent_.begin(), recent_.end(), id);
}

float Sampler::penalized(float score) const {
  return score > 0 ? score / penalty_divisor_ : score * penalty_divisor_;
}

void Sampler::keep_from_list(std::span<const ScoredToken> list) {
  ranked_.clear();
  ranked_.reserve(list.size());
  float highest = kMinusInfinity;
  for (const ScoredToken& token : list) {
    const float score = token.score / temperature_;
    if (std::isnan(score)) continue;
    highest = std::max(highest, score);
    ranked_.push_back({token.id, is_recent(token.id) ? penalized(score) : score});
  }
  check_highest(highest, list.size());
  if (options_.enable_top_p) {
    keep_top_p_of_ranked();
  } else {
    keep_best(most_kept_, kInfinity);
  }
}

template <class Value>
void Sampler::keep_from_all(std::span<const Value> logits) {
  maxima_.resize(logit_scan::block_count(logits.size()));
  logit_scan::find_maxima(logits, maxima_);
  float highest = kMinusInfinity;
  for (const float most : maxima_) highest = std::max(highest, most);
  check_highest(highest / temperature_, logits.size());
  // Ids that are no row of the logits do no harm.
  const auto end = static_cast<TokenId>(logits.size());
  recent_.erase(std::lower_bound(recent_.begin(), recent_.end(), end), recent_.end());
  recent_.erase(recent_.begin(), std::lower_bound(recent_.begin(), recent_.end(), 0));
  ranked_.reserve(logits.size());  // mostly untouched, and so no memory yet
  if (options_.enable_top_p) {
    keep_top_p(logits);
  } else {
    gather(logits, score_of_rank(most_kept_));
    keep_best(most_kept_, kInfinity);
  }
}

// A score that at least `rank` tokens reach, found without looking at single logits: the largest of
// a block without penalized tokens is the score of one. Minus infinity with too few such blocks.
double Sampler::score_of_rank(std::size_t rank) {
  if (rank > maxima_.size()) return kMinusInfinity;
  sorted_ = maxima_;
  for (const TokenId id : recent_) {
    sorted_[static_cast<std::size_t>(id) / logit_scan::kBlock] = kMinusInfinity;
  }
  const auto end = sorted_.begin() + static_cast<std::ptrdiff_t>(rank);
  std::partial_sort(sorted_.begin(), end, sorted_.end(), std::greater<>());
  return sorted_[rank - 1] / temperature_;
}

// Puts into ranked_, in no order, the tokens with a score of at least `least`.
template <class Value>
void Sampler::gather(std::span<const Value> logits, double least) {
  const auto add = [&](std::size_t index, bool recent) {
    const auto id = static_cast<TokenId>(index);
    float score = as_float(logits[index]) / temperature_;
    if (recent) score = penalized(score);
    if (score >= least) ranked_.push_back({id, score});
  };
  // In logits: a little lower, for rounding. Where numbers run out of range, all logits.
  auto lowest = static_cast<float>(least) * temperature_;
  lowest -= std::abs(lowest) * 0x1p-20F;
  if (!std::isnormal(static_cast<float>(least)) || !std::isnormal(lowest)) lowest = kMinusInfinity;

  ranked_.clear();
  for (std::size_t block = 0; block < maxima_.size(); ++block) {
    if (maxima_[block] < lowest) continue;
    const std::size_t begin = block * logit_scan::kBlock;
    const std::size_t end = std::min(begin + logit_scan::kBlock, logits.size());
    for (std::size_t i = begin; i < end; ++i) {
      if (as_float(logits[i]) >= lowest && !is_recent(static_cast<TokenId>(i))) add(i, false);
    }
  }
  for (const TokenId id : recent_) add(static_cast<std::size_t>(id), true);
}

// Reduces ranked_ to the fewest of its best tokens whose weights reach `wanted`, at most `most`,
// best first. False if all of them do not reach it. A heap gives only those needed in order.
bool Sampler::keep_best(std::size_t most, double wanted) {
  const auto is_worse = [](const ScoredToken& left, const ScoredToken& right) {
    return is_better(right, left);
  };
  std::make_heap(ranked_.begin(), ranked_.end(), is_worse);
  const float highest = ranked_.front().score;
  const std::size_t spared = ranked_.size() - std::min(most, ranked_.size());
  const auto least = ranked_.begin() + static_cast<std::ptrdiff_t>(spared);
  auto rest = ranked_.end();  // the heap is in front of it, the tokens kept behind, worst first
  double reached = 0;
  while (rest != least && reached < wanted) {
    std::pop_heap(ranked_.begin(), rest, is_worse);
    --rest;
    reached += weight(rest->score, highest);
  }
  ranked_.erase(ranked_.begin(), rest);
  std::reverse(ranked_.begin(), ranked_.end());
  return reached >= wanted;
}

// Top-p over ranked_ if it has all tokens.
void Sampler::keep_top_p_of_ranked() {
  const float highest = std::min_element(ranked_.begin(), ranked_.end(), is_better)->score;
  double total = 0;
  for (const ScoredToken& token : ranked_) total += weight(token.score, highest);
  keep_best(ranked_.size(), static_cast<double>(options_.top_p) * total);
}

// The sum of the weights of all tokens. `best`: the highest score; `highest`: its logit, penalized.
template <class Value>
double Sampler::total_weight(std::span<const Value> logits, float highest, float best) const {
  const auto sum = [&](std::size_t begin, std::size_t end) {
    return logit_scan::sum_of_weights(logits.subspan(begin, end - begin), highest,
                                      1 / temperature_);
  };
  double total = 0;
  std::size_t begin = 0;
  for (const TokenId id : recent_) {
    const auto index = static_cast<std::size_t>(id);
    total += sum(begin, index);
    const float score = penalized(as_float(logits[index]) / temperature_);
    if (!std::isnan(score)) total += weight(score, best);
    begin = index + 1;
  }
  return total + sum(begin, logits.size());
}

// Mostly a few of the best are enough. If not, a token with less than (1 - p)/n of the probability
// is still never needed: the n tokens from it on could not make up the rest.
template <class Value>
void Sampler::keep_top_p(std::span<const Value> logits) {
  gather(logits, score_of_rank(kLikelyEnough));
  const ScoredToken best = *std::min_element(ranked_.begin(), ranked_.end(), is_better);
  float highest = as_float(logits[static_cast<std::size_t>(best.id)]);
  if (is_recent(best.id)) highest = penalized(highest);
  if (!std::isfinite(highest) || !std::isfinite(best.score)) {
    gather(logits, kMinusInfinity);
    return keep_top_p_of_ranked();
  }
  const double total = total_weight(logits, highest, best.score);
  const double wanted = static_cast<double>(options_.top_p) * total;
  if (keep_best(ranked_.size(), wanted)) return;
  const double least = (total - wanted) / static_cast<double>(logits.size());
  // In scores; a little lower, for the rounding of the sums.
  gather(logits, best.score + std::log(least * 0.999));
  keep_best(ranked_.size(), wanted);
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
