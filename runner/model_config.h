#pragma once

#include <filesystem>
#include <string>

namespace runner {

// A decoder-only transformer as HuggingFace's config.json describes it. The families this program
// runs differ in few places; each place is a field here, so that code asks for the fact and never
// for the family.
struct ModelConfig {
  std::string model_type;   // "qwen2"
  std::string torch_dtype;  // of the checkpoint, "" when not said

  int layers = 0;
  int hidden = 0;
  int intermediate = 0;  // width of the MLP
  int heads = 0;
  int kv_heads = 0;  // divides heads
  int head_dim = 0;  // even
  int vocab = 0;
  int max_positions = 0;

  float norm_epsilon = 0;
  double rope_theta = 0;
  bool qkv_bias = false;         // q, k and v projections have biases
  bool tied_embeddings = false;  // the output matrix is the embedding matrix
};

// Reads `directory`/config.json. Throws Error(kNotFound) when it is missing, Error(kBadModel)
// naming file and key when it is broken or describes something this program does not compute
// (another model_type, rope_scaling, sliding windows, another activation).
ModelConfig read_model_config(const std::filesystem::path& directory);

}  // namespace runner
