#pragma once

#include <memory>
#include <vector>

#include "runner/bpe_tokenizer.h"
#include "runner/chat_template.h"
#include "runner/prompt_encoder.h"

namespace runner {

// A prompt encoder of this process: the model's own tokenizer and template. It keeps no
// conversation, so it costs next to nothing; one tokenizer serves any number of them, in any
// threads. Throws Error(kBadModel) when the template names a special token that the tokenizer
// does not have.
std::unique_ptr<PromptEncoder> make_native_prompt_encoder(
    std::shared_ptr<const BpeTokenizer> tokenizer, ChatTemplate chat_template,
    std::vector<TokenId> stop_tokens);

}  // namespace runner
