#pragma once

#include <filesystem>
#include <memory>

#include "runner/text/bpe_tokenizer.h"

namespace runner {

// The tokenizer in a file: HuggingFace's where its name ends in .json (tokenizer_json.h), Qwen's
// for .tiktoken (tiktoken.h), else a SentencePiece model (sentencepiece_model.h).
// Throws Error: kNotFound, kBadModel; the message begins with the path.
std::shared_ptr<const BpeTokenizer> load_tokenizer(const std::filesystem::path& file);

// The same for a SentencePiece model of Phi-3, which StackFlow's tokenizer_type 3 means: the marks
// of its chat are no part of that file, but ids behind its 32,000
// (microsoft/Phi-3-mini-4k-instruct, tokenizer.json).
std::shared_ptr<const BpeTokenizer> load_phi3_tokenizer(const std::filesystem::path& file);

// Whether StackFlow's `tokenizer_type`, 0 to 5, means a file: 2 is a service, 5 a script.
bool is_tokenizer_file(int tokenizer_type);

// The tokenizer file in a folder: tokenizer.json, or else tokenizer.model, or else qwen.tiktoken;
// tokenizer.json where there is none of them.
std::filesystem::path find_tokenizer_file(const std::filesystem::path& directory);

}  // namespace runner
