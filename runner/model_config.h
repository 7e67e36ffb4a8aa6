#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace runner {

// How Llama 3.1 and later reach more positions than they were first trained with ("llama3" in
// config.json, as HuggingFace's transformers compute it). What a pair of a head does within the
// original positions decides: a pair that makes more than high_freq_factor turns keeps its
// frequency, one that makes less than low_freq_factor gets frequency / factor, and between them
// there is a linear passage.
struct RopeScaling {
  double factor = 1;           // > 0
  double low_freq_factor = 0;  // > 0, < high_freq_factor
  double high_freq_factor = 0;
  int original_positions = 0;
};

// A decoder-only transformer as HuggingFace's config.json describes it. The families this program
// runs differ in few places; each place is a field here, so that code asks for the fact and never
// for the family.
struct ModelConfig {
  std::string model_type;   // "qwen2", "qwen3" or "llama"
  std::string torch_dtype;  // of the checkpoint, "" when not said

  int layers = 0;
  int hidden = 0;
  int intermediate = 0;  // width of the MLP
  int heads = 0;
  int kv_heads = 0;  // divides heads
  int head_dim = 0;  // even; heads * head_dim need not be hidden
  int vocab = 0;
  int max_positions = 0;

  float norm_epsilon = 0;
  double rope_theta = 0;
  std::optional<RopeScaling> rope_scaling;
  bool qkv_bias = false;               // q, k and v projections have biases
  bool attention_output_bias = false;  // the o projection has one
  bool qk_norm = false;                // RMS norm of each q and k head before it is rotated
  bool tied_embeddings = false;        // the output matrix is the embedding matrix
};

// Reads `directory`/config.json. Throws Error(kNotFound) when it is missing, Error(kBadModel)
// naming file and key when it is broken or describes something this program does not compute
// (another model_type, scaled positions other than RopeScaling, sliding windows, biases in the MLP,
// another activation).
ModelConfig read_model_config(const std::filesystem::path& directory);

}  // namespace runner
