#pragma once

#include <string>
#include <string_view>

#include "runner/text/bpe_definition.h"

namespace runner {

// Reads the text of a HuggingFace tokenizer.json with a BPE model over bytes (Qwen, Llama 3,
// DeepSeek, SmolLM2 …) or over characters (Llama 2, TinyLlama, Phi-3 …). Throws Error(kBadModel)
// naming the key that is missing, of a wrong type, or names a component that is not supported,
// with those that are.
BpeDefinition parse_tokenizer_json(std::string_view json);

// Throws Error(kBadModel): "tokenizer.json: " and what is wrong with it.
[[noreturn]] void refuse_tokenizer(const std::string& what);

}  // namespace runner
