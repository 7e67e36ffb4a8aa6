#include "runner/cpu/cpu_engine.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runner/cpu/cpu_kv_cache.h"
#include "runner/cpu/kernels.h"
#include "runner/error.h"

namespace runner {
namespace {

// Rows of one pass over the weights. Large enough that arithmetic, not memory, is the limit;
// small enough that a stop is noticed soon. A multiple of the rows of every kernel tile.
constexpr int kBlockRows = 48;
// Threads share output columns in runs of a cache line.
constexpr int kShareFloats = 16;

std::size_t to_size(int value) { return static_cast<std::size_t>(value); }

// A row-major matrix of floats, [rows, width].
class Rows {
 public:
  Rows(int rows, std::size_t width) : width_(width), values_(to_size(rows) * width) {}

  std::size_t width() const { return width_; }
  float* at(int row) { return values_.data() + to_size(row) * width_; }
  std::span<float> row(int row) { return {at(row), width_}; }

 private:
  std::size_t width_;
  std::vector<float> values_;
};

class CpuEngine : public Engine {
 public:
  CpuEngine(std::shared_ptr<const CpuWeights> weights, std::shared_ptr<ThreadPool> threads);

  const ModelShape& shape() const override { return weights_->shape; }
  std::unique_ptr<KvCache> new_cache() const override {
    return std::make_unique<CpuKvCache>(config_, shape().context);
  }
  Logits prefill(EmbeddingView rows, KvCache& cache, std::stop_token stop) override;
  bool append(EmbeddingView rows, KvCache& cache, std::stop_token stop) override;
  Logits decode(EmbeddingView row, KvCache& cache) override;

 private:
  using Lease = ThreadPool::Lease;

  // A few query heads that share a K/V head, at one row: what one thread attends to at a time.
  struct AttentionItem {
    int row;
    int kv_head;
    int first_head;
    int heads;
  };

  void check_room(int rows, const KvCache& cache) const;
  void forward(Lease& lease, EmbeddingView rows, CpuKvCache& cache);
  void attention(Lease& lease, int layer, int rows, CpuKvCache& cache);
  void mlp(Lease& lease, const LayerWeights& layer, int rows);
  Logits logits(Lease& lease, int row);

  void normalize_and_pack(int row, std::span<const float> weight, int part);
  void place(std::span<float> head, std::span<const float> norm, int position) const;
  void place_and_store(int row, int layer, const CpuKvCache& cache);
  AttentionItem attention_item(int index, int rows) const;
  void attend(const AttentionItem& item, int layer, const CpuKvCache& cache, int part);

  // Calls body(row, part) for all rows, shared among the threads when there are several.
  template <typename Body>
  static void for_each_row(Lease& lease, int rows, const Body& body) {
    if (rows == 1) {
      body(0, 0);  // less work than waking the others
      return;
    }
    lease.run([&](int part) {
      const Range range = share(rows, part, lease.threads());
      for (int row = range.first; row < range.last; ++row) body(row, part);
    });
  }

  // y = x W^T + bias, or y += that.
  struct Product {
    Rows& x;  // packed
    const Matrix& w;
    std::span<const float> bias;  // empty for none
    Rows& y;
    bool add = false;
  };
  // One thread's share of a product's columns.
  void multiply(int part, int rows, const Product& product) const {
    const Range range = share(product.w.rows, part, threads_->threads(), kShareFloats);
    kernels::matmul({.x = product.x.at(0),
                     .rows = rows,
                     .w = product.w.values.data(),
                     .columns = product.w.columns,
                     .first = range.first,
                     .last = range.last,
                     .bias = product.bias.empty() ? nullptr : product.bias.data(),
                     .y = product.y.at(0),
                     .y_stride = product.y.width(),
                     .add = product.add});
  }

  std::shared_ptr<const CpuWeights> weights_;
  std::shared_ptr<ThreadPool> threads_;
  const ModelConfig& config_;

  // Scratch of one block, [kBlockRows, …].
  Rows hidden_;
  Rows packed_hidden_;  // packed for kernels::matmul, as are the next two
  Rows packed_attended_;
  Rows packed_intermediate_;
  Rows query_;
  Rows key_;
  Rows value_;
  Rows attended_;
  Rows gate_;
  Rows up_;
  // Scratch of each thread, [threads, …].
  Rows normalized_;
  Rows packed_heads_;
  Rows scores_;  // kernels::kWeightedRows rows of context each

  Rows logits_;  // [1, vocab]
};

CpuEngine::CpuEngine(std::shared_ptr<const CpuWeights> weights, std::shared_ptr<ThreadPool> threads)
    : weights_(std::move(weights)),
      threads_(std::move(threads)),
      config_(weights_->config),
      hidden_(kBlockRows, to_size(config_.hidden)),
      packed_hidden_(kBlockRows, kernels::packed_width(config_.hidden)),
      packed_attended_(kBlockRows, kernels::packed_width(config_.heads * config_.head_dim)),
      packed_intermediate_(kBlockRows, kernels::packed_width(config_.intermediate)),
      query_(kBlockRows, to_size(config_.heads * config_.head_dim)),
      key_(kBlockRows, to_size(config_.kv_heads * config_.head_dim)),
      value_(kBlockRows, to_size(config_.kv_heads * config_.head_dim)),
      attended_(kBlockRows, to_size(config_.heads * config_.head_dim)),
      gate_(kBlockRows, to_size(config_.intermediate)),
      up_(kBlockRows, to_size(config_.intermediate)),
      normalized_(threads_->threads(), to_size(config_.hidden)),
      packed_heads_(threads_->threads(),
                    kernels::kWeightedRows * kernels::packed_width(config_.head_dim)),
      scores_(threads_->threads(), kernels::kWeightedRows * to_size(weights_->shape.context)),
      logits_(1, to_size(config_.vocab)) {}

Logits CpuEngine::prefill(EmbeddingView rows, KvCache& cache, std::stop_token stop) {
  if (!append(rows, cache, std::move(stop))) return {};
  Lease lease(*threads_);
  return logits(lease, (rows.rows() - 1) % kBlockRows);
}

bool CpuEngine::append(EmbeddingView rows, KvCache& cache, std::stop_token stop) {
  check_room(rows.rows(), cache);
  for (int first = 0; first < rows.rows(); first += kBlockRows) {
    if (stop.stop_requested()) return false;
    const int count = std::min(kBlockRows, rows.rows() - first);
    Lease lease(*threads_);
    forward(lease, rows.slice(first, count), static_cast<CpuKvCache&>(cache));
  }
  return true;
}

Logits CpuEngine::decode(EmbeddingView row, KvCache& cache) {
  assert(row.rows() == 1);
  check_room(1, cache);
  Lease lease(*threads_);
  forward(lease, row, static_cast<CpuKvCache&>(cache));
  return logits(lease, 0);
}

void CpuEngine::check_room(int rows, const KvCache& cache) const {
  assert(dynamic_cast<const CpuKvCache*>(&cache) != nullptr);
  if (rows > cache.capacity() - cache.length()) {
    throw Error(ErrorCode::kPromptTooLong, std::to_string(rows) + " rows do not fit behind the " +
                                               std::to_string(cache.length()) +
                                               " in the cache: its context is " +
                                               std::to_string(cache.capacity()) + " rows");
  }
}

void CpuEngine::forward(Lease& lease, EmbeddingView rows, CpuKvCache& cache) {
  assert(rows.hidden() == config_.hidden);
  for (int row = 0; row < rows.rows(); ++row) {
    std::ranges::transform(rows.row(row), hidden_.at(row), to_float);
  }
  for (int layer = 0; layer < config_.layers; ++layer) {
    attention(lease, layer, rows.rows(), cache);
    mlp(lease, weights_->layers[to_size(layer)], rows.rows());
  }
  cache.extend(rows.rows());
}

void CpuEngine::attention(Lease& lease, int layer, int rows, CpuKvCache& cache) {
  const LayerWeights& weights = weights_->layers[to_size(layer)];
  for_each_row(lease, rows,
               [&](int row, int part) { normalize_and_pack(row, weights.attention_norm, part); });
  lease.run([&](int part) {
    multiply(part, rows, {packed_hidden_, weights.query, weights.query_bias, query_});
    multiply(part, rows, {packed_hidden_, weights.key, weights.key_bias, key_});
    multiply(part, rows, {packed_hidden_, weights.value, weights.value_bias, value_});
  });
  for_each_row(lease, rows, [&](int row, int) { place_and_store(row, layer, cache); });
  const int group = config_.heads / config_.kv_heads;
  const int pieces = (group + kernels::kWeightedRows - 1) / kernels::kWeightedRows;
  lease.run([&](int part) {
    const Range range = share(rows * config_.kv_heads * pieces, part, lease.threads());
    for (int index = range.first; index < range.last; ++index) {
      attend(attention_item(index, rows), layer, cache, part);
    }
  });
  for_each_row(lease, rows, [&](int row, int) {
    kernels::pack_row(attended_.row(row), packed_attended_.at(row));
  });
  lease.run([&](int part) {
    multiply(
        part, rows,
        {packed_attended_, weights.attention_output, weights.attention_output_bias, hidden_, true});
  });
}

void CpuEngine::mlp(Lease& lease, const LayerWeights& layer, int rows) {
  for_each_row(lease, rows,
               [&](int row, int part) { normalize_and_pack(row, layer.mlp_norm, part); });
  lease.run([&](int part) {
    multiply(part, rows, {packed_hidden_, layer.gate, {}, gate_});
    multiply(part, rows, {packed_hidden_, layer.up, {}, up_});
    const Range range = share(config_.intermediate, part, lease.threads(), kShareFloats);
    for (int row = 0; row < rows; ++row) {
      kernels::silu_multiply({gate_.at(row) + range.first, to_size(range.count())},
                             {up_.at(row) + range.first, to_size(range.count())});
    }
  });
  for_each_row(lease, rows, [&](int row, int) {
    kernels::pack_row(gate_.row(row), packed_intermediate_.at(row));
  });
  lease.run([&](int part) {
    multiply(part, rows, {packed_intermediate_, layer.down, {}, hidden_, true});
  });
}

Logits CpuEngine::logits(Lease& lease, int row) {
  if (row != 0) std::ranges::copy(hidden_.row(row), hidden_.at(0));
  normalize_and_pack(0, weights_->final_norm, 0);
  lease.run([&](int part) { multiply(part, 1, {packed_hidden_, weights_->output, {}, logits_}); });
  return std::span<const float>(logits_.row(0));
}

void CpuEngine::normalize_and_pack(int row, std::span<const float> weight, int part) {
  kernels::rms_norm(hidden_.row(row), weight, config_.norm_epsilon, normalized_.row(part));
  kernels::pack_row(normalized_.row(part), packed_hidden_.at(row));
}

// Gives one head of a query or key its position; before that, its norm where the model has one.
void CpuEngine::place(std::span<float> head, std::span<const float> norm, int position) const {
  if (!norm.empty()) kernels::rms_norm(head, norm, config_.norm_epsilon, head);
  weights_->rope.rotate(head, position);
}

// Gives the new row its position and puts its keys and values into the cache.
void CpuEngine::place_and_store(int row, int layer, const CpuKvCache& cache) {
  const LayerWeights& weights = weights_->layers[to_size(layer)];
  const int position = cache.length() + row;
  const std::size_t width = to_size(config_.head_dim);
  for (int head = 0; head < config_.heads; ++head) {
    place({query_.at(row) + to_size(head) * width, width}, weights.query_norm, position);
  }
  for (int head = 0; head < config_.kv_heads; ++head) {
    const std::span<float> key(key_.at(row) + to_size(head) * width, width);
    const std::span<float> value(value_.at(row) + to_size(head) * width, width);
    place(key, weights.key_norm, position);
    std::ranges::transform(key, cache.keys(layer, head) + to_size(position) * width, to_bf16);
    std::ranges::transform(value, cache.values(layer, head) + to_size(position) * width, to_bf16);
  }
}

// Items are numbered head by head, so that a thread's share reads the same keys and values for
// row after row.
CpuEngine::AttentionItem CpuEngine::attention_item(int index, int rows) const {
  const int group = config_.heads / config_.kv_heads;
  const int pieces = (group + kernels::kWeightedRows - 1) / kernels::kWeightedRows;
  const int piece = index / rows % pieces;
  const int kv_head = index / rows / pieces;
  const Range heads = share(group, piece, pieces);
  return {index % rows, kv_head, kv_head * group + heads.first, heads.count()};
}

void CpuEngine::attend(const AttentionItem& item, int layer, const CpuKvCache& cache, int part) {
  const int terms = cache.length() + item.row + 1;  // this row and all before it
  const std::size_t width = to_size(config_.head_dim);
  const std::size_t packed_width = kernels::packed_width(config_.head_dim);
  const std::size_t scores_stride = to_size(cache.capacity());
  const std::size_t first_column = to_size(item.first_head) * width;
  float* scores = scores_.at(part);
  for (int head = 0; head < item.heads; ++head) {
    const float* query = query_.at(item.row) + first_column + to_size(head) * width;
    kernels::pack_row({query, width}, packed_heads_.at(part) + to_size(head) * packed_width);
  }
  kernels::matmul({.x = packed_heads_.at(part),
                   .rows = item.heads,
                   .w = cache.keys(layer, item.kv_head),
                   .columns = config_.head_dim,
                   .first = 0,
                   .last = terms,
                   .y = scores,
                   .y_stride = scores_stride});
  const float scale = 1.0F / std::sqrt(static_cast<float>(config_.head_dim));
  for (int head = 0; head < item.heads; ++head) {
    kernels::softmax({scores + to_size(head) * scores_stride, to_size(terms)}, scale);
  }
  kernels::weighted_sum({.weights = scores,
                         .weights_stride = scores_stride,
                         .rows = item.heads,
                         .values = cache.values(layer, item.kv_head),
                         .terms = terms,
                         .columns = config_.head_dim,
                         .out = attended_.at(item.row) + first_column});
}

}  // namespace

std::unique_ptr<Engine> make_cpu_engine(std::shared_ptr<const CpuWeights> weights,
                                        std::shared_ptr<ThreadPool> threads) {
  return std::make_unique<CpuEngine>(std::move(weights), std::move(threads));
}

}  // namespace runner
