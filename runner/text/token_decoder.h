#pragma once

#include <memory>

#include "runner/text/bpe_tokenizer.h"
#include "runner/text/prompt_encoder.h"

namespace runner {

// A decoder for one answer in the tokens of `tokenizer`. The space at the start of the first text
// is left out where the tokenizer puts one there when encoding.
std::unique_ptr<Decoder> make_token_decoder(std::shared_ptr<const BpeTokenizer> tokenizer);

}  // namespace runner
