#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <stop_token>
#include <variant>

#include "runner/bf16.h"

// The seam between the generation loop (session.h) and whatever computes a transformer: the CPU
// (cpu/cpu_engine.h), an NPU, or a script in the tests. Nothing here knows tokens or text; an
// engine sees rows of embeddings, so that a soft prefix and a prompt are the same thing to it.
namespace runner {

using TokenId = std::int32_t;

struct ModelShape {
  int layers = 0;
  int hidden = 0;   // values in one embedding row
  int vocab = 0;    // logits per position
  int context = 0;  // most rows a cache may hold
};

// Rows of bf16 embeddings, [rows, hidden] row-major. Does not own them.
class EmbeddingView {
 public:
  EmbeddingView() = default;
  // REQUIRES: values.size() is a multiple of hidden, hidden > 0.
  EmbeddingView(std::span<const Bf16> values, int hidden) : values_(values), hidden_(hidden) {}

  int rows() const { return hidden_ == 0 ? 0 : static_cast<int>(values_.size()) / hidden_; }
  int hidden() const { return hidden_; }
  std::span<const Bf16> values() const { return values_; }
  std::span<const Bf16> row(int index) const { return slice(index, 1).values_; }
  EmbeddingView slice(int first, int count) const {
    const auto width = static_cast<std::size_t>(hidden_);
    return {values_.subspan(static_cast<std::size_t>(first) * width,
                            static_cast<std::size_t>(count) * width),
            hidden_};
  }

 private:
  std::span<const Bf16> values_;
  int hidden_ = 0;
};

struct ScoredToken {
  TokenId id = 0;
  float score = 0;  // logit
};

// The scores of the next token, in the form the engine has them. Exactly one of:
//   std::monostate               nothing (the engine was stopped before it had any)
//   span<const float>            logits [vocab]
//   span<const Bf16>             logits [vocab]
//   span<const ScoredToken>      the best tokens only, best first (NPU post models with top-k)
// The memory belongs to the engine and is valid until its next call.
using Logits = std::variant<std::monostate, std::span<const float>, std::span<const Bf16>,
                            std::span<const ScoredToken>>;

inline bool has_value(const Logits& logits) {
  return !std::holds_alternative<std::monostate>(logits);
}

// The K/V rows of one conversation, in the engine's own memory. length() is the only record of
// the position: the next row computed gets position length().
class KvCache {
 public:
  virtual ~KvCache() = default;
  virtual int length() const = 0;    // rows held
  virtual int capacity() const = 0;  // most rows; equals ModelShape::context
  // Forgets the rows from `length` on. REQUIRES: 0 <= length <= this->length().
  virtual void truncate(int length) = 0;
};

// Loaded weights and the scratch memory to run them. It keeps no conversation: everything a
// conversation changes is in its KvCache, so one engine serves several caches in turn.
//
// Threads: one call at a time per Engine. Engines that share weights may run at the same time.
class Engine {
 public:
  virtual ~Engine() = default;

  virtual const ModelShape& shape() const = 0;

  // An empty cache for this engine. Throws Error(kOutOfMemory).
  virtual std::unique_ptr<KvCache> new_cache() const = 0;

  // Appends rows [n, hidden], n >= 1, to the cache and returns the last row's logits.
  // `stop` is looked at between pieces of work that the engine cannot interrupt; if it stopped,
  // the result is empty and the cache holds the rows finished so far.
  // Throws Error(kPromptTooLong) when n rows do not fit (nothing is computed, the cache is
  // unchanged), Error(kEngineFailed) when the device breaks.
  virtual Logits prefill(EmbeddingView rows, KvCache& cache, std::stop_token stop) = 0;

  // The same for rows whose logits nobody wants, because more rows follow. False if stopped. The
  // rows count as held at once; an engine may put off computing them until it must.
  virtual bool append(EmbeddingView rows, KvCache& cache, std::stop_token stop) = 0;

  // prefill() for exactly one row, as generation does it. The fast path of every engine.
  virtual Logits decode(EmbeddingView row, KvCache& cache) = 0;
};

}  // namespace runner
