#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runner/embedding_table.h"
#include "runner/engine.h"
#include "runner/error.h"
#include "runner/model.h"
#include "runner/text/prompt_encoder.h"

// An engine whose next token is a function of the rows in the cache, and that records its calls.
// Rows stand for token ids (see fake_embeddings()); any other row counts as kSoftRow.
namespace runner::fakes {

constexpr int kHidden = 2;
constexpr int kVocab = 512;
constexpr int kSoftRow = -1;
constexpr TokenId kEndOfReply = 300;  // closes an answer that a turn follows
constexpr TokenId kAnswerMark = 301;  // ends a turn
constexpr TokenId kStop = 302;

inline std::shared_ptr<const EmbeddingTable> fake_embeddings() {
  auto values = std::make_shared<std::vector<Bf16>>();
  for (int token = 0; token < kVocab; ++token) {
    values->push_back(to_bf16(static_cast<float>(token % 256)));
    values->push_back(to_bf16(static_cast<float>(1 + token / 256)));
  }
  return std::make_shared<const EmbeddingTable>(values, *values, kHidden);
}

inline GenerationOptions greedy() {
  GenerationOptions options;
  options.sampler.enable_top_k = false;
  return options;
}

class FakeCache : public KvCache {
 public:
  explicit FakeCache(int capacity) : capacity_(capacity) {}
  int length() const override { return static_cast<int>(rows.size()); }
  int capacity() const override { return capacity_; }
  void truncate(int length) override { rows.resize(static_cast<std::size_t>(length)); }

  std::vector<int> rows;  // token ids and kSoftRow

 private:
  int capacity_;
};

class FakeEngine : public Engine {
 public:
  using NextToken = std::function<TokenId(const std::vector<int>& rows)>;
  // What the engine was asked to do, as "prefill 5" and "decode".
  using Calls = std::vector<std::string>;

  FakeEngine(int context, NextToken next, std::shared_ptr<Calls> calls)
      : shape_{1, kHidden, kVocab, context}, next_(std::move(next)), calls_(std::move(calls)) {}

  const ModelShape& shape() const override { return shape_; }
  std::unique_ptr<KvCache> new_cache() const override {
    return std::make_unique<FakeCache>(shape_.context);
  }

  Logits prefill(EmbeddingView rows, KvCache& cache, std::stop_token stop) override {
    calls_->push_back("prefill " + std::to_string(rows.rows()));
    if (cache.length() + rows.rows() > cache.capacity()) {
      throw Error(ErrorCode::kPromptTooLong, "rows do not fit");
    }
    if (stop.stop_requested()) return {};
    return append(rows, cache);
  }

  bool append(EmbeddingView rows, KvCache& cache, std::stop_token stop) override {
    const bool done = has_value(prefill(rows, cache, std::move(stop)));
    calls_->back().replace(0, 7, "append");
    return done;
  }

  Logits decode(EmbeddingView row, KvCache& cache) override {
    calls_->push_back("decode");
    return append(row, cache);
  }

 private:
  Logits append(EmbeddingView view, KvCache& cache) {
    auto& rows = static_cast<FakeCache&>(cache).rows;
    for (int i = 0; i < view.rows(); ++i) {
      const float low = to_float(view.row(i)[0]);
      const float high = to_float(view.row(i)[1]);
      rows.push_back(high < 1 ? kSoftRow
                              : static_cast<int>(low) + 256 * (static_cast<int>(high) - 1));
    }
    logits_.assign(kVocab, 0.0F);
    logits_[static_cast<std::size_t>(next_(rows))] = 1.0F;
    return std::span<const float>(logits_);
  }

  ModelShape shape_;
  NextToken next_;
  std::shared_ptr<Calls> calls_;
  std::vector<float> logits_;
};

// Bytes as tokens; "ab" after a reply is {300, 'a', 'b', 301}.
class FakeEncoder : public PromptEncoder {
 public:
  std::vector<TokenId> begin(std::string_view system) override { return bytes(system); }
  std::vector<TokenId> encode_turn(std::string_view user, std::string_view last_reply) override {
    std::vector<TokenId> ids;
    if (!last_reply.empty()) ids.push_back(kEndOfReply);
    for (const TokenId id : bytes(user)) ids.push_back(id);
    ids.push_back(kAnswerMark);
    return ids;
  }
  bool is_stop(TokenId token) const override { return token == kStop; }
  std::unique_ptr<Decoder> new_decoder() const override { return std::make_unique<FakeDecoder>(); }

 private:
  class FakeDecoder : public Decoder {
   public:
    std::string push(TokenId token) override {
      return token < 128 ? std::string(1, static_cast<char>(token)) : "";
    }
  };
  static std::vector<TokenId> bytes(std::string_view text) {
    std::vector<TokenId> ids;
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }
};

// The rows of the answer so far: those behind the last kAnswerMark.
inline std::size_t answer_length(const std::vector<int>& rows) {
  std::size_t length = 0;
  while (length < rows.size() && rows[rows.size() - 1 - length] != kAnswerMark) ++length;
  return length;
}

// Answers of `length` letters, each depending on every row before it.
inline FakeEngine::NextToken hashing_answers(std::size_t length) {
  return [length](const std::vector<int>& rows) -> TokenId {
    if (answer_length(rows) >= length) return kStop;
    unsigned hash = 17;
    for (const int row : rows) hash = hash * 31 + static_cast<unsigned>(row + 2);
    return static_cast<TokenId>('a' + hash % 26);
  };
}

struct FakeModel {
  std::shared_ptr<FakeEngine::Calls> calls = std::make_shared<FakeEngine::Calls>();
  std::shared_ptr<const Model> model;
};

inline FakeModel make_fake_model(int context, FakeEngine::NextToken next) {
  FakeModel fake;
  auto model = std::make_shared<Model>();
  model->name = "fake";
  model->engine = "fake";
  model->shape = {1, kHidden, kVocab, context};
  model->generation_config.enable_top_k_sampling = false;
  model->embeddings = fake_embeddings();
  model->new_engine = [context, next, calls = fake.calls] {
    return std::make_unique<FakeEngine>(context, next, calls);
  };
  model->new_prompt_encoder = [](const PromptOptions&) { return std::make_unique<FakeEncoder>(); };
  fake.model = std::move(model);
  return fake;
}

}  // namespace runner::fakes
