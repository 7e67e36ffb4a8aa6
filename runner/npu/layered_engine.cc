#include "runner/npu/layered_engine.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runner/error.h"
#include "runner/npu/npu_kv_cache.h"
#include "runner/npu/step_inputs.h"

namespace runner {
namespace {

class LayeredEngine : public Engine {
 public:
  LayeredEngine(std::shared_ptr<const NpuModel> model, const LayeredEngineOptions& options);

  const ModelShape& shape() const override { return model_->shape(); }
  std::unique_ptr<KvCache> new_cache() const override;
  Logits prefill(EmbeddingView rows, KvCache& cache, std::stop_token stop) override;
  bool append(EmbeddingView rows, KvCache& cache, std::stop_token stop) override;
  Logits decode(EmbeddingView row, KvCache& cache) override;

 private:
  // Where the tensors of one run are, by LayerTensor.
  using Bound = std::array<NpuSlice, kLayerTensors>;
  NpuSlice& at(Bound& bound, LayerTensor tensor) const {
    return bound[static_cast<std::size_t>(tensor)];
  }

  NpuKvCache& prepare(int rows, KvCache& cache) const;
  template <typename Work>
  Logits guarded(const Work& work);
  bool run(const PrefillPlan& plan, NpuKvCache& cache, const std::stop_token& stop);
  void run_layers(std::size_t group, EmbeddingView rows, NpuKvCache& cache);
  void run_layer(int index, std::size_t group, const Bound& bound);
  bool writes_in_place(int rows, const NpuKvCache& cache) const;
  void take_over(const NpuSlice& from, const NpuSlice& plane, int rows, const NpuKvCache& cache);
  std::size_t new_plane_bytes(int rows) const {
    return round_up(to_bytes(rows, model_->layout().kv_width), kTensorAlignment);
  }
  Logits run_post(int row);
  Logits read_list();
  NpuSlice hidden_rows(std::size_t which, int rows) const {
    return hidden_[which]->slice().part(0, to_bytes(rows, shape().hidden));
  }
  NpuDevice& device() const { return model_->device(); }

  std::shared_ptr<const NpuModel> model_;
  const LayeredEngineOptions options_;
  StepInputs inputs_;
  // Input and output of a layer, in turns, [most rows, hidden].
  std::array<std::unique_ptr<NpuMemory>, 2> hidden_;
  std::size_t last_ = 0;               // the one with the last output
  std::unique_ptr<NpuMemory> new_kv_;  // new K rows, and V rows behind them
  std::vector<std::unique_ptr<NpuMemory>> post_outputs_;
  std::vector<NpuSlice> post_slices_;
  std::array<Bound, 2> ordered_;  // inputs and outputs, as the graph wants them
  std::vector<ScoredToken> list_;
  std::optional<std::string> failure_;
};

int most_rows(const NpuModel& model) {
  int rows = 1;
  for (const ShapeGroup& group : model.groups()) rows = std::max(rows, group.rows);
  return rows;
}

LayeredEngine::LayeredEngine(std::shared_ptr<const NpuModel> model,
                             const LayeredEngineOptions& options)
    : model_(std::move(model)), options_(options), inputs_(device(), model_->groups()) {
  const int rows = most_rows(*model_);
  for (auto& memory : hidden_) {
    memory = allocate_zeroed(device(), to_bytes(rows, shape().hidden), "llm_rows");
  }
  new_kv_ = allocate_zeroed(device(), 2 * new_plane_bytes(rows), "llm_new_kv");
  for (const std::size_t bytes : model_->post_layout().output_bytes) {
    post_outputs_.push_back(allocate_zeroed(device(), bytes, "llm_logits"));
    post_slices_.push_back(post_outputs_.back()->slice().part(0, bytes));
  }
  list_.resize(static_cast<std::size_t>(model_->post_layout().list_tokens));
}

std::unique_ptr<KvCache> LayeredEngine::new_cache() const {
  return std::make_unique<NpuKvCache>(
      device(), NpuKvCache::Layout{shape().layers, shape().hidden, model_->layout().kv_width,
                                   shape().context, model_->slots()});
}

Logits LayeredEngine::prefill(EmbeddingView rows, KvCache& cache, std::stop_token stop) {
  NpuKvCache& own = prepare(rows.rows(), cache);
  const int before = own.length();
  own.append(rows);
  return guarded([&]() -> Logits {
    // Rows that were appended are computed as if they had been at once, so that the same request
    // is always computed alike; unless the plan begins anew in any case.
    const PrefillPlan plan = plan_prefill(model_->groups(), before, rows.rows());
    if (plan.first_row > own.computed()) {
      const int waiting = before - own.computed();
      if (!run(plan_prefill(model_->groups(), own.computed(), waiting), own, stop)) return {};
    }
    if (!run(plan, own, stop)) return {};
    return run_post(plan.steps.back().rows - 1);
  });
}

bool LayeredEngine::append(EmbeddingView rows, KvCache& cache, std::stop_token stop) {
  NpuKvCache& own = prepare(rows.rows(), cache);
  if (stop.stop_requested()) return false;
  own.append(rows);
  return true;
}

Logits LayeredEngine::decode(EmbeddingView row, KvCache& cache) {
  assert(row.rows() == 1);
  NpuKvCache& own = prepare(1, cache);
  if (own.computed() < own.length()) return prefill(row, cache, {});
  own.append(row);
  return guarded([&] {
    run_layers(decode_group(model_->groups(), own.computed()), row, own);
    return run_post(0);
  });
}

// False if stopped: then the cache holds the rows computed so far.
bool LayeredEngine::run(const PrefillPlan& plan, NpuKvCache& cache, const std::stop_token& stop) {
  bool is_first = true;
  for (const PrefillStep& step : plan.steps) {
    if (stop.stop_requested()) {
      cache.truncate(cache.computed());
      return false;
    }
    if (is_first) cache.rewind(plan.first_row);
    is_first = false;
    run_layers(step.group, cache.embeddings(cache.computed(), step.rows), cache);
  }
  return true;
}

NpuKvCache& LayeredEngine::prepare(int rows, KvCache& cache) const {
  assert(dynamic_cast<NpuKvCache*>(&cache) != nullptr);
  if (failure_) throw Error(ErrorCode::kEngineFailed, *failure_);
  if (rows > cache.capacity() - cache.length()) {
    throw Error(ErrorCode::kPromptTooLong, std::to_string(rows) + " rows do not fit behind the " +
                                               std::to_string(cache.length()) +
                                               " in the cache: its context is " +
                                               std::to_string(cache.capacity()) + " rows");
  }
  return static_cast<NpuKvCache&>(cache);
}

// What the device throws is remembered: nothing is known of its state from then on.
template <typename Work>
Logits LayeredEngine::guarded(const Work& work) {
  try {
    return work();
  } catch (const std::exception& error) {
    failure_ = error.what();
    model_->mark_broken();
    throw;
  }
}

// Computes the next rows of the cache, whose embeddings are `rows`, and their output.
void LayeredEngine::run_layers(std::size_t group, EmbeddingView rows, NpuKvCache& cache) {
  const LayerGroup& layout = model_->layout().groups[group];
  const int count = rows.rows();
  const int all_rows = layout.shape.rows;
  const int kv_width = model_->layout().kv_width;
  const bool in_place = writes_in_place(all_rows, cache);
  const std::size_t new_plane = new_plane_bytes(all_rows);
  const NpuSlice new_keys = new_kv_->slice().part(0, to_bytes(all_rows, kv_width));
  const NpuSlice new_values = new_kv_->slice().part(new_plane, to_bytes(all_rows, kv_width));
  write_rows(device(), hidden_[0]->slice(), rows, all_rows);
  last_ = 0;

  Bound bound;
  at(bound, LayerTensor::kIndices) = inputs_.positions(cache.computed(), all_rows);
  at(bound, LayerTensor::kMask) = inputs_.mask(group, cache.computed(), count);
  cache.prepare(in_place ? all_rows : count);
  for (int layer = 0; layer < shape().layers; ++layer) {
    if (layer > 0) zero_rows(device(), hidden_[last_]->slice(), shape().hidden, count, all_rows);
    at(bound, LayerTensor::kInput) = hidden_rows(last_, all_rows);
    at(bound, LayerTensor::kOutput) = hidden_rows(1 - last_, all_rows);
    at(bound, LayerTensor::kKeys) = cache.keys(layer, 0, layout.slots);
    at(bound, LayerTensor::kValues) = cache.values(layer, 0, layout.slots);
    at(bound, LayerTensor::kNewKeys) =
        in_place ? cache.keys(layer, cache.computed(), all_rows) : new_keys;
    at(bound, LayerTensor::kNewValues) =
        in_place ? cache.values(layer, cache.computed(), all_rows) : new_values;
    run_layer(layer, group, bound);
    if (!in_place) {
      device().from_npu(new_kv_->slice().lines(0, new_plane + to_bytes(count, kv_width)));
      take_over(new_keys, cache.keys(layer, 0, cache.slots()), count, cache);
      take_over(new_values, cache.values(layer, 0, cache.slots()), count, cache);
    } else if (count < all_rows) {
      for (const LayerTensor tensor : {LayerTensor::kNewKeys, LayerTensor::kNewValues}) {
        zero_rows(device(), at(bound, tensor), kv_width, count, all_rows);
      }
    }
    last_ = 1 - last_;
  }
  cache.count_computed(count);
}

void LayeredEngine::run_layer(int index, std::size_t group, const Bound& bound) {
  const auto in_order = [&](const std::vector<LayerTensor>& order, Bound& slices) {
    for (std::size_t i = 0; i < order.size(); ++i) {
      slices[i] = bound[static_cast<std::size_t>(order[i])];
    }
    return std::span<const NpuSlice>(slices).first(order.size());
  };
  model_->with_layer(index, [&](const NpuLayer& layer) {
    const LayerBinding& binding = layer.bindings[group];
    layer.graph->run(group, in_order(binding.inputs, ordered_[0]),
                     in_order(binding.outputs, ordered_[1]));
  });
}

bool LayeredEngine::writes_in_place(int rows, const NpuKvCache& cache) const {
  return options_.kv_in_place && cache.row_bytes() % kTensorAlignment == 0 &&
         cache.computed() + rows <= cache.slots();
}

// Copies new K or V rows to where they belong in their plane of the cache.
void LayeredEngine::take_over(const NpuSlice& from, const NpuSlice& plane, int rows,
                              const NpuKvCache& cache) {
  const std::size_t offset = to_bytes(cache.computed(), model_->layout().kv_width);
  const std::size_t bytes = to_bytes(rows, model_->layout().kv_width);
  std::memcpy(plane.host + offset, from.host, bytes);
  device().to_npu(plane.lines(offset, bytes));
}

// The scores behind one row of the last output.
Logits LayeredEngine::run_post(int row) {
  const std::size_t row_bytes = to_bytes(1, shape().hidden);
  NpuSlice input = hidden_[last_]->slice().part(0, row_bytes);
  if (row > 0) {
    const NpuSlice from = hidden_[last_]->slice().lines(to_bytes(row, shape().hidden), row_bytes);
    device().from_npu(from);
    input = hidden_[1 - last_]->slice().part(0, row_bytes);
    std::memcpy(input.host, hidden_[last_]->slice().host + to_bytes(row, shape().hidden),
                row_bytes);
    device().to_npu(hidden_[1 - last_]->slice().lines(0, row_bytes));
  }
  model_->post().run(0, {&input, 1}, post_slices_);
  if (model_->post_layout().list_tokens > 0) return read_list();

  const NpuSlice& logits = post_outputs_[model_->post_layout().result]->slice();
  device().from_npu(logits);
  return std::span<const Bf16>(logits.as<Bf16>(), static_cast<std::size_t>(shape().vocab));
}

Logits LayeredEngine::read_list() {
  const PostLayout& layout = model_->post_layout();
  const NpuSlice& ids = post_outputs_[layout.result]->slice();
  device().from_npu(ids);
  for (std::size_t i = 0; i < list_.size(); ++i) list_[i] = {ids.as<std::int32_t>()[i], 0};
  if (layout.probabilities) {
    const NpuSlice& scores = post_outputs_[*layout.probabilities]->slice();
    device().from_npu(scores);
    const bool wide = layout.output_bytes[*layout.probabilities] == list_.size() * sizeof(float);
    for (std::size_t i = 0; i < list_.size(); ++i) {
      const float share = wide ? scores.as<float>()[i] : to_float(scores.as<Bf16>()[i]);
      list_[i].score = std::log(share);
    }
  }
  for (const ScoredToken& token : list_) {
    if (token.id < 0 || token.id >= shape().vocab) {
      throw Error(ErrorCode::kEngineFailed, "the post model gives token " +
                                                std::to_string(token.id) + " of a vocabulary of " +
                                                std::to_string(shape().vocab));
    }
  }
  return std::span<const ScoredToken>(list_);
}

}  // namespace

std::unique_ptr<Engine> make_layered_engine(std::shared_ptr<const NpuModel> model,
                                            const LayeredEngineOptions& options) {
  return std::make_unique<LayeredEngine>(std::move(model), options);
}

}  // namespace runner
