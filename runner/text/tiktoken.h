#pragma once

#include <string_view>

#include "runner/text/bpe_definition.h"

namespace runner {

// Reads a `qwen.tiktoken` file, in the form of OpenAI's tiktoken: a line "BASE64 RANK" for each
// token, where the rank is the token's id as well (openai/tiktoken, tiktoken/load.py). How text is
// normalized and cut, and the 208 special tokens right behind the vocabulary (<|endoftext|>,
// <|im_start|>, <|im_end|>, <|extra_0|> to <|extra_204|>), are Qwen's (QwenLM/Qwen,
// tokenization_qwen.py); such a file does not say.
//
// Throws Error(kBadModel) naming the line that is wrong.
BpeDefinition parse_tiktoken(std::string_view file);

}  // namespace runner
