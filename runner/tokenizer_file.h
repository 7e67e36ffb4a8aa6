#pragma once

#include <filesystem>
#include <memory>

#include "runner/bpe_tokenizer.h"

namespace runner {

// The tokenizer in a file: HuggingFace's where its name ends in .json (tokenizer_json.h), Qwen's
// for .tiktoken (tiktoken.h), else a SentencePiece model (sentencepiece_model.h).
// Throws Error: kNotFound, kBadModel; the message begins with the path.
std::shared_ptr<const BpeTokenizer> load_tokenizer(const std::filesystem::path& file);

// The tokenizer file in a folder: tokenizer.json, or else tokenizer.model, or else qwen.tiktoken;
// tokenizer.json where there is none of them.
std::filesystem::path find_tokenizer_file(const std::filesystem::path& directory);

}  // namespace runner
