#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "runner/embedding_table.h"
#include "runner/npu/npu_model.h"

namespace runner {

// What the mode json of a StackFlow model says of its files.
struct NpuDescription {
  NpuModelFiles graphs;
  std::filesystem::path embeddings;  // filename_tokens_embed
  int tokenizer_type = 0;
  std::string tokenizer;  // filename_tokenizer_model, below the model's folder; or a service's URL
  bool tokenizer_keeps_conversation = false;  // a service of context models: url_tokenizer_model
  bool adds_eos_to_prompt = false;            // b_eos
};

// `pattern` ("qwen2_p128_l%d_together.axmodel") for each of `layers` numbers from 0; nothing where
// it has no %d.
std::vector<std::string> layer_names(const std::string& pattern, int layers);

// Reads `mode_json` (the text of the file `source`) of the model in `directory`.
// Throws Error(kBadModel) naming file, key, value and what was expected.
NpuDescription read_npu_description(const std::filesystem::path& directory,
                                    const std::string& mode_json,
                                    const std::filesystem::path& source);

// Maps an embedding file: vocab rows of hidden bf16 values, little-endian, no header.
// Throws Error(kNotFound, kBadModel) naming file, actual and expected bytes.
std::shared_ptr<const EmbeddingTable> map_embeddings(const std::filesystem::path& path, int vocab,
                                                     int hidden);

}  // namespace runner
