#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runner/mode_params.h"
#include "runner/text/bpe_tokenizer.h"
#include "runner/text/chat_template.h"
#include "runner/text/prompt_encoder.h"

namespace runner {

// The text side of a model: its tokenizer, chat template and what goes with them. Immutable and
// cheap to copy.
struct TextModel {
  std::shared_ptr<const BpeTokenizer> tokenizer;
  std::optional<ChatTemplate> chat_template;  // none: template_error says why
  std::string template_error;
  std::string bos_token;  // as tokenizer_config.json spells them; empty: not there
  std::string eos_token;
  std::vector<TokenId> stop_tokens;  // ascending; they end an answer, as the template's own does
  ModeParams generation_config;      // sampling defaults; nothing said without the file
  std::string tokenizer_kind;        // "byte-level BPE"

  // For people: the name of the chat template, or why there is none.
  const std::string& template_name() const {
    return chat_template ? chat_template->name() : template_error;
  }

  // Throws Error: kBadModel with template_error where neither the folder nor `options` give
  // a template, or one that does not go with the tokenizer; kBadOption for options that the
  // template cannot serve, and for a bos where the tokenizer has none.
  std::unique_ptr<PromptEncoder> new_prompt_encoder(const PromptOptions& options) const;

  // What such an encoder encodes for the first text of a user, special tokens spelled out. Throws
  // the same.
  std::string render_prompt(const PromptOptions& options, const std::string& user) const;

 private:
  ChatTemplate choose_template(const PromptOptions& options) const;
  std::string choose_bos(const PromptOptions& options) const;
};

// Reads from the HuggingFace folder `directory`:
//   tokenizer.json          or else tokenizer.model, or else qwen.tiktoken: needed
//   tokenizer_config.json   chat_template (a string, or a list with one named "default"), eos_token
//   chat_template.jinja     the template, where newer files have it
//   generation_config.json  eos_token_id (one or several) and the sampling defaults
//   config.json             eos_token_id where generation_config.json has none
// Stop tokens are those of all files, and the one that the tokenizer's own file names. Without any
// template it is plain ChatML if the tokenizer has its tokens. A template that cannot be followed
// is no error here: a task may say what stands in its place.
//
// Sampling as HuggingFace means it: without do_sample the best token, else temperature (1),
// top_k (50; 0 is off) and top_p (1). HuggingFace divides logits by repetition_penalty itself, the
// sampler here by its square root: the penalty in the result is the square of the file's.
//
// Throws Error: kNotFound without a tokenizer, kBadModel naming the file and what is wrong.
TextModel load_text_model(const std::filesystem::path& directory);

// The same for a StackFlow model in `directory`, by the tokenizer_type of its mode json: 0
// SentencePiece, 1 tiktoken, 3 SentencePiece with Phi-3's marks, 4 SentencePiece of MiniCPM, all in
// the file `tokenizer`; 2 (a service) and 5 (a script) by the folder tokenizer/ with HuggingFace's
// files. Where there is no template, the type says which family it is. REQUIRES: 0 to 5.
// Throws Error as above, and kNotBuilt for types 2 and 5 without tokenizer/tokenizer.json.
TextModel load_stackflow_text_model(const std::filesystem::path& directory, int tokenizer_type,
                                    const std::string& tokenizer);

}  // namespace runner
