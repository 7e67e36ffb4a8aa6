#include "runner/cpu/cpu_weights.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "runner/cpu/anonymous_memory.h"
#include "runner/safetensors.h"

namespace runner {
namespace {

// What the spans of CpuWeights point into.
struct Storage {
  Safetensors tensors;
  std::vector<std::unique_ptr<AnonymousMemory>> converted;
};

class Loader {
 public:
  Loader(const std::filesystem::path& directory, const LoadProgress& progress)
      : progress_(progress),
        storage_(std::make_shared<Storage>(Storage{Safetensors::open_directory(directory), {}})) {
    for (const auto& [name, tensor] : storage_->tensors.tensors()) total_ += tensor.bytes.size();
    storage_->tensors.will_need();
  }

  Matrix matrix(const std::string& name, int rows, int columns) {
    const TensorView& tensor = storage_->tensors.at(name, {rows, columns});
    Matrix result{{}, rows, columns};
    const auto address = reinterpret_cast<std::uintptr_t>(tensor.bytes.data());
    if (tensor.dtype == "BF16" && address % alignof(Bf16) == 0) {
      result.values = {reinterpret_cast<const Bf16*>(tensor.bytes.data()), tensor.values()};
    } else {
      result.values = converted(tensor);
    }
    count(tensor);
    return result;
  }

  std::vector<float> vector(const std::string& name, int length) {
    const TensorView& tensor = storage_->tensors.at(name, {length});
    count(tensor);
    return as_floats(tensor);
  }

  std::size_t file_bytes() const { return storage_->tensors.file_bytes(); }
  std::size_t converted_bytes() const {
    std::size_t bytes = 0;
    for (const auto& memory : storage_->converted) bytes += memory->bytes();
    return bytes;
  }
  std::shared_ptr<const void> owner() const { return storage_; }

 private:
  std::span<const Bf16> converted(const TensorView& tensor) {
    auto memory = std::make_unique<AnonymousMemory>(tensor.values() * sizeof(Bf16),
                                                    "tensor " + tensor.name, true);
    const std::span<Bf16> values(static_cast<Bf16*>(memory->data()), tensor.values());
    copy_as_bf16(tensor, values);
    storage_->converted.push_back(std::move(memory));
    return values;
  }

  void count(const TensorView& tensor) {
    done_ += tensor.bytes.size();
    if (progress_) {
      progress_(std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_)));
    }
  }

  const LoadProgress& progress_;
  std::shared_ptr<Storage> storage_;
  std::size_t total_ = 0;
  std::size_t done_ = 0;
};

LayerWeights load_layer(Loader& loader, const ModelConfig& config, int index) {
  const std::string layer = "model.layers." + std::to_string(index) + ".";
  const int query_rows = config.heads * config.head_dim;
  const int kv_rows = config.kv_heads * config.head_dim;
  LayerWeights weights;
  weights.attention_norm = loader.vector(layer + "input_layernorm.weight", config.hidden);
  weights.query = loader.matrix(layer + "self_attn.q_proj.weight", query_rows, config.hidden);
  weights.key = loader.matrix(layer + "self_attn.k_proj.weight", kv_rows, config.hidden);
  weights.value = loader.matrix(layer + "self_attn.v_proj.weight", kv_rows, config.hidden);
  if (config.qkv_bias) {
    weights.query_bias = loader.vector(layer + "self_attn.q_proj.bias", query_rows);
    weights.key_bias = loader.vector(layer + "self_attn.k_proj.bias", kv_rows);
    weights.value_bias = loader.vector(layer + "self_attn.v_proj.bias", kv_rows);
  }
  if (config.qk_norm) {
    weights.query_norm = loader.vector(layer + "self_attn.q_norm.weight", config.head_dim);
    weights.key_norm = loader.vector(layer + "self_attn.k_norm.weight", config.head_dim);
  }
  weights.attention_output =
      loader.matrix(layer + "self_attn.o_proj.weight", config.hidden, query_rows);
  if (config.attention_output_bias) {
    weights.attention_output_bias = loader.vector(layer + "self_attn.o_proj.bias", config.hidden);
  }
  weights.mlp_norm = loader.vector(layer + "post_attention_layernorm.weight", config.hidden);
  weights.gate = loader.matrix(layer + "mlp.gate_proj.weight", config.intermediate, config.hidden);
  weights.up = loader.matrix(layer + "mlp.up_proj.weight", config.intermediate, config.hidden);
  weights.down = loader.matrix(layer + "mlp.down_proj.weight", config.hidden, config.intermediate);
  return weights;
}

std::size_t decode_bytes(const CpuWeights& weights) {
  std::size_t bytes = weights.output.values.size_bytes();
  for (const LayerWeights& layer : weights.layers) {
    for (const Matrix* matrix : {&layer.query, &layer.key, &layer.value, &layer.attention_output,
                                 &layer.gate, &layer.up, &layer.down}) {
      bytes += matrix->values.size_bytes();
    }
  }
  return bytes;
}

}  // namespace

CpuModel load_cpu_model(const std::filesystem::path& directory, int context,
                        const LoadProgress& progress) {
  auto weights = std::make_shared<CpuWeights>();
  weights->config = read_model_config(directory);
  const ModelConfig& config = weights->config;
  weights->shape = {config.layers, config.hidden, config.vocab,
                    std::min(config.max_positions, context)};

  Loader loader(directory, progress);
  weights->embeddings = loader.matrix("model.embed_tokens.weight", config.vocab, config.hidden);
  for (int layer = 0; layer < config.layers; ++layer) {
    weights->layers.push_back(load_layer(loader, config, layer));
  }
  weights->final_norm = loader.vector("model.norm.weight", config.hidden);
  weights->output = config.tied_embeddings
                        ? weights->embeddings
                        : loader.matrix("lm_head.weight", config.vocab, config.hidden);
  weights->rope = RopeTable(config, weights->shape.context);
  weights->file_bytes = loader.file_bytes();
  weights->converted_bytes = loader.converted_bytes();
  weights->decode_bytes = decode_bytes(*weights);
  weights->owner = loader.owner();
  if (progress) progress(1.0);

  auto embeddings =
      std::make_shared<EmbeddingTable>(weights->owner, weights->embeddings.values, config.hidden);
  return {weights->shape, weights, embeddings};
}

}  // namespace runner
