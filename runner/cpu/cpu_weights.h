#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "runner/bf16.h"
#include "runner/cpu/rope.h"
#include "runner/embedding_table.h"
#include "runner/engine.h"
#include "runner/model_config.h"

namespace runner {

// A weight matrix, bf16 [rows, columns] row-major: y[rows] = W x[columns]. Does not own it.
struct Matrix {
  std::span<const Bf16> values;
  int rows = 0;
  int columns = 0;
};

struct LayerWeights {
  std::vector<float> attention_norm;  // [hidden]
  Matrix query;                       // [heads*head_dim, hidden]
  Matrix key;                         // [kv_heads*head_dim, hidden]
  Matrix value;                       // [kv_heads*head_dim, hidden]
  std::vector<float> query_bias;      // empty for none, as are the other biases
  std::vector<float> key_bias;
  std::vector<float> value_bias;
  std::vector<float> query_norm;  // [head_dim], of each head; empty for none, as is the next one
  std::vector<float> key_norm;
  Matrix attention_output;  // [hidden, heads*head_dim]
  std::vector<float> attention_output_bias;
  std::vector<float> mlp_norm;  // [hidden]
  Matrix gate;                  // [intermediate, hidden]
  Matrix up;                    // [intermediate, hidden]
  Matrix down;                  // [hidden, intermediate]
};

// The weights of one model as the CPU engine reads them. Matrices are bf16: mapped from the file
// when it holds bf16 at an even offset, else converted into memory of their own (nearest-even).
// Immutable; shared by all engines of the model.
struct CpuWeights {
  ModelConfig config;
  ModelShape shape;
  Matrix embeddings;  // [vocab, hidden]
  std::vector<LayerWeights> layers;
  std::vector<float> final_norm;  // [hidden]
  Matrix output;                  // [vocab, hidden]; the embeddings when they are tied
  RopeTable rope;                 // for shape.context positions

  std::size_t file_bytes = 0;         // the safetensors files together
  std::size_t converted_bytes = 0;    // memory besides the mapped files
  std::size_t decode_bytes = 0;       // matrix bytes read for one decoded token
  std::shared_ptr<const void> owner;  // keeps mappings and converted matrices alive
};

// A loaded HuggingFace directory, ready for engines.
struct CpuModel {
  ModelShape shape;
  std::shared_ptr<const CpuWeights> weights;
  std::shared_ptr<const EmbeddingTable> embeddings;
};

// Told how much of the loading is done, 0 to 1; on the loading thread.
using LoadProgress = std::function<void(double fraction)>;

// Loads `directory` (config.json, model.safetensors or shards). shape.context becomes the smaller
// of the model's positions and `context`. REQUIRES: context >= 1.
// Throws Error(kNotFound, kBadModel, kOutOfMemory) naming file, tensor, expected and actual.
CpuModel load_cpu_model(const std::filesystem::path& directory, int context,
                        const LoadProgress& progress = {});

}  // namespace runner
