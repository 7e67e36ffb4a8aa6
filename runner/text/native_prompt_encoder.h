#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runner/text/bpe_tokenizer.h"
#include "runner/text/chat_template.h"
#include "runner/text/prompt_encoder.h"

namespace runner {

struct NativePromptOptions {
  std::vector<TokenId> stop_tokens;  // besides the one that the template ends an answer with
  std::optional<bool> enable_thinking;
  std::string bos_token;  // not empty: stands in front of everything, unless the template puts it
  // The date of each conversation's beginning, for templates that write it.
  std::function<ChatTemplate::Time()> now = std::chrono::system_clock::now;
};

// A prompt encoder of this process: the model's own tokenizer and template. The ids put together
// are those that HuggingFace gives for the rendered conversation as one text, except that special
// tokens spelled in texts of the conversation are ordinary text, and that an answer's ids are the
// generated ones unless the template rewrites it. What begin() gives ends in front of a special
// token, where text does not join; without one it gives nothing, and all comes with the turn.
//
// It costs next to nothing; one tokenizer serves any number of them, in any threads. Throws
// Error(kBadModel) when the tokenizer lacks the token that the template's family cannot do
// without, Error(kBadOption) for `enable_thinking` against the template.
std::unique_ptr<PromptEncoder> make_native_prompt_encoder(
    std::shared_ptr<const BpeTokenizer> tokenizer, ChatTemplate chat_template,
    NativePromptOptions options);

}  // namespace runner
