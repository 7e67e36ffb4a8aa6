#include "runner/session.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "runner/error.h"

namespace runner {
namespace {

using Clock = std::chrono::steady_clock;

bool is_same(const SoftPrefix* left, const SoftPrefix* right) {
  if (left == nullptr || right == nullptr) return left == right;
  return left == right || std::ranges::equal(left->view().values(), right->view().values());
}

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

}  // namespace

std::string_view to_string(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStopToken:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "cancelled";
  }
  return "";
}

Session::Session(std::unique_ptr<Engine> engine, std::shared_ptr<const EmbeddingTable> embeddings,
                 const PromptEncoder& encoder, bool keep_conversation)
    : engine_(std::move(engine)),
      embeddings_(std::move(embeddings)),
      encoder_(encoder),
      keep_conversation_(keep_conversation),
      cache_(engine_->new_cache()) {}

void Session::restart(std::vector<TokenId> head) {
  if (head != head_) cache_->truncate(0);
  head_ = std::move(head);
  history_.clear();
  last_turn_ = 0;
}

void Session::check_fit(std::size_t turn_tokens, const SoftPrefix* prefix) const {
  const auto context = static_cast<std::size_t>(cache_->capacity());
  const std::size_t prompt_tokens = head_.size() + history_.size() + turn_tokens;
  if (prompt_tokens > context) {
    throw Error(ErrorCode::kPromptTooLong, "the prompt has " + std::to_string(prompt_tokens) +
                                               " tokens, context_length is " +
                                               std::to_string(context));
  }
  if (prefix == nullptr) return;
  if (prefix->hidden() != shape().hidden) {
    throw Error(ErrorCode::kBadSoftPrefix, "the soft prefix has " +
                                               std::to_string(prefix->hidden()) +
                                               " values per row, the model's hidden_size is " +
                                               std::to_string(shape().hidden));
  }
  const auto prefix_rows = static_cast<std::size_t>(prefix->rows());
  if (prefix_rows + prompt_tokens > context) {
    throw Error(ErrorCode::kBadSoftPrefix, std::to_string(prefix_rows) + " soft prefix rows + " +
                                               std::to_string(prompt_tokens) + " prompt tokens = " +
                                               std::to_string(prefix_rows + prompt_tokens) +
                                               ", context_length is " + std::to_string(context));
  }
}

// The prefix rows (if given) and the tokens, embedded; valid until the next call.
EmbeddingView Session::embed(std::span<const TokenId> tokens, const SoftPrefix* prefix) {
  rows_.clear();
  if (prefix != nullptr) {
    const auto values = prefix->view().values();
    rows_.insert(rows_.end(), values.begin(), values.end());
  }
  for (const TokenId token : tokens) {
    if (token < 0 || token >= embeddings_->vocab()) {
      throw Error(ErrorCode::kBadOption, "token id " + std::to_string(token) +
                                             " is outside the embedding table of " +
                                             std::to_string(embeddings_->vocab()) + " rows");
    }
    const auto row = embeddings_->row(token);
    rows_.insert(rows_.end(), row.begin(), row.end());
  }
  return {rows_, shape().hidden};
}

GenerationResult Session::generate(std::span<const TokenId> turn,
                                   const std::shared_ptr<const SoftPrefix>& prefix,
                                   const GenerationOptions& options, const TextSink& sink,
                                   std::stop_token stop) {
  const auto start = Clock::now();
  last_turn_ = history_.size();
  if (turn.empty()) throw Error(ErrorCode::kBadOption, "the prompt has no tokens");
  check_fit(turn.size(), prefix.get());

  const int prefix_rows = prefix ? prefix->rows() : 0;
  const int head_rows = prefix_rows + static_cast<int>(head_.size());
  const int history_rows = head_rows + static_cast<int>(history_.size());
  const int prompt_rows = history_rows + static_cast<int>(turn.size());

  // What the cache may keep: nothing behind another prefix or of a head that was cut short.
  if (!is_same(cached_prefix_.get(), prefix.get()) || cache_->length() < head_rows) {
    cache_->truncate(0);
  }
  if (cache_->length() > history_rows) cache_->truncate(history_rows);
  cached_prefix_ = prefix;

  GenerationResult result;
  result.prompt_rows = prompt_rows;
  result.computed_rows = prompt_rows - cache_->length();
  try {
    if (cache_->length() < head_rows &&
        !engine_->append(embed(head_, prefix.get()), *cache_, stop)) {
      return result;
    }
    const auto cached_history = static_cast<std::size_t>(cache_->length() - head_rows);
    std::vector<TokenId> rest(history_.begin() + static_cast<std::ptrdiff_t>(cached_history),
                              history_.end());
    rest.insert(rest.end(), turn.begin(), turn.end());
    const Logits logits = engine_->prefill(embed(rest, nullptr), *cache_, stop);
    if (!has_value(logits)) return result;

    // A token needs a row only when another one follows it: a full context still gives one.
    int most_tokens = cache_->capacity() - prompt_rows + 1;
    if (options.max_total_tokens > 0) {
      const int prompt_tokens = prompt_rows - prefix_rows;
      most_tokens = std::min(most_tokens, options.max_total_tokens - prompt_tokens);
    }
    if (options.max_new_tokens > 0) most_tokens = std::min(most_tokens, options.max_new_tokens);

    result.first_token_ms = milliseconds_since(start);
    generate_tokens(logits, std::max(most_tokens, 1), options, sink, std::move(stop), result);
  } catch (...) {
    cache_->truncate(0);
    throw;
  }
  if (keep_conversation_ && !result.text.empty()) {
    history_.insert(history_.end(), turn.begin(), turn.end());
    history_.insert(history_.end(), result.tokens.begin(), result.tokens.end());
  }
  return result;
}

void Session::replace_last_turn(std::span<const TokenId> tokens) {
  if (last_turn_ == history_.size()) return;
  const auto turn = history_.begin() + static_cast<std::ptrdiff_t>(last_turn_);
  const auto same = std::ranges::mismatch(turn, history_.end(), tokens.begin(), tokens.end()).in1;
  const int prefix_rows = cached_prefix_ ? cached_prefix_->rows() : 0;
  const int valid_rows =
      prefix_rows + static_cast<int>(head_.size()) + static_cast<int>(same - history_.begin());
  if (cache_->length() > valid_rows) cache_->truncate(valid_rows);
  history_.erase(turn, history_.end());
  history_.insert(history_.end(), tokens.begin(), tokens.end());
}

// The decode loop. A token is in the cache only after the next decode.
void Session::generate_tokens(Logits logits, int most_tokens, const GenerationOptions& options,
                              const TextSink& sink, std::stop_token stop,
                              GenerationResult& result) {
  const auto start = Clock::now();
  Sampler sampler(options.sampler, options.seed);
  const auto decoder = encoder_.new_decoder();
  for (;;) {
    const TokenId token = sampler.sample(logits, result.tokens);
    if (encoder_.is_stop(token) && !options.ignore_stop) {
      result.finish = FinishReason::kStopToken;
      break;
    }
    result.tokens.push_back(token);
    if (const std::string text = decoder->push(token); !text.empty()) {
      result.text += text;
      if (sink) sink(text);
    }
    if (static_cast<int>(result.tokens.size()) == most_tokens) {
      result.finish = FinishReason::kLength;
      break;
    }
    if (stop.stop_requested()) {
      result.finish = FinishReason::kCancelled;
      break;
    }
    logits = engine_->decode({embeddings_->row(token), shape().hidden}, *cache_);
  }
  result.decode_ms = milliseconds_since(start);
}

}  // namespace runner
