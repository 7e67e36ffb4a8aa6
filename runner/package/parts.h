#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "runner/mode_params.h"
#include "runner/package/axmodel_names.h"
#include "runner/package/size_hints.h"

namespace runner {

// The embedding table as it was found. All kinds are little-endian rows; .npy has a header.
enum class EmbeddingFormat { kBf16, kFloat32, kNpy };

// What a folder holds of a model for the NPU. Parts that are not there are empty or 0, and
// `problems` says so.
struct PackageParts {
  std::filesystem::path directory;  // of the graphs: the folder given, or a folder in it
  AxmodelLayers layers;
  int layer_count = 0;  // missing ones included
  std::string post;     // the file with the final norm and the vocabulary
  std::string embeddings;
  EmbeddingFormat embedding_format = EmbeddingFormat::kBf16;
  int rows = 0;  // of the embeddings
  int hidden = 0;
  std::string sizes_from;  // the file that told these two

  int tokenizer_type = 2;           // StackFlow's: 0, 3, 4 SentencePiece, 1 tiktoken, 2 the rest
  std::filesystem::path tokenizer;  // tokenizer.json, qwen.tiktoken or tokenizer.model
  ModeParams samplers;
  std::string samplers_from;  // empty where nothing tells

  std::vector<std::string> problems;  // what is missing or wrong, and what was expected
  std::vector<std::string> notes;     // what does not stand in the way
};

struct PartsWanted {
  std::filesystem::path source;     // a folder
  std::filesystem::path tokenizer;  // the folder of the tokenizer; empty: found
  int hidden = 0;                   // 0: found
};

// Looks into `source`, its folders and what they hold; reads and changes nothing else. The layouts
// it knows: what `pulsar2 llm_build` and AXERA's extract_embed.py leave; AXERA's repositories on
// HuggingFace (graphs in one folder for each chip, the tokenizer in another, run scripts or a
// config.json beside them); M5Stack's folders.
// Throws Error(kNotFound) when `source` is not a folder.
PackageParts find_package_parts(const PartsWanted& wanted);

}  // namespace runner
