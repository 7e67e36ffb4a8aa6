#pragma once

#include <memory>

#include "main_llm/tokenizer_service.h"
#include "runner/text/prompt_encoder.h"

namespace main_llm {

struct HttpPromptEncoderOptions {
  TokenizerServiceOptions service;
  // Which of the two dialects the service speaks. Plain ones write the template around a text and
  // know nothing of the texts before; those of context models keep conversations, by uid.
  bool keeps_conversation = false;
  bool adds_eos = false;  // the eos token behind a prompt, in the plain dialect (b_eos)
  int vocab = 0;          // ids are below it
};

// A prompt encoder over a tokenizer service, which is started here (see TokenizerService) and ends
// with it. The service's own chat template applies; with a plain one each prompt comes whole with
// its turn. Answers end at the service's eos token only.
//
// After a failure (runner::Error, kEngineFailed) the next call starts the service anew and tells it
// the conversation again, so that only the inference that met it is lost.
//
// Plain services decode ids without memory, with U+FFFD for an incomplete character: ids are held
// until it is complete. Those of context models remember what is incomplete, over the end of an
// answer too, and a character that never becomes one for good: then a fresh uid decodes.
//
// Throws Error(kBadOption) for options that no service can serve: template_family, enable_thinking,
// adds_bos without such a token or, in the dialect of context models, at all.
std::unique_ptr<runner::PromptEncoder> make_http_prompt_encoder(
    HttpPromptEncoderOptions options, const runner::PromptOptions& prompt);

}  // namespace main_llm
