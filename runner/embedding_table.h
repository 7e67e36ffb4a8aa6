#pragma once

#include <memory>
#include <span>
#include <utility>

#include "runner/engine.h"

namespace runner {

// The token embeddings of a model, bf16 [vocab, hidden] row-major, usually mapped from its file.
// Immutable; shared by all tasks of the model.
class EmbeddingTable {
 public:
  // `owner` keeps `values` alive. REQUIRES: values.size() is a multiple of hidden.
  EmbeddingTable(std::shared_ptr<const void> owner, std::span<const Bf16> values, int hidden)
      : owner_(std::move(owner)), view_(values, hidden) {}

  int vocab() const { return view_.rows(); }
  int hidden() const { return view_.hidden(); }
  // REQUIRES: 0 <= token < vocab().
  std::span<const Bf16> row(TokenId token) const { return view_.row(token); }

 private:
  std::shared_ptr<const void> owner_;
  EmbeddingView view_;
};

}  // namespace runner
