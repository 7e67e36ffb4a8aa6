#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runner/engine.h"

namespace runner {

// Turns the token ids of one answer into text as they come. One per answer; not shared.
class Decoder {
 public:
  virtual ~Decoder() = default;
  // The text that `token` completes: whole UTF-8 code points, possibly none. Bytes of an
  // unfinished code point wait for the next token; bytes that can never become one give U+FFFD;
  // special tokens give nothing.
  virtual std::string push(TokenId token) = 0;
};

// Conversation text to token ids, and back. One per task: an implementation may keep the
// conversation on its side (the HTTP tokenizer service does). Not thread-safe.
class PromptEncoder {
 public:
  virtual ~PromptEncoder() = default;

  // Starts a conversation (anew, forgetting the last one): the ids that stand before its first
  // turn. With an empty `system` what the model's template puts there by itself, which may be
  // nothing.
  virtual std::vector<TokenId> begin(std::string_view system) = 0;

  // The ids of a user turn, up to and including the mark after which the answer begins.
  // `last_reply` is the text of the answer that stands before this turn, empty for the first
  // turn; when it is not empty the ids start with whatever closes that answer.
  // Text that spells a special token is ordinary text here and never becomes one.
  virtual std::vector<TokenId> encode_turn(std::string_view user, std::string_view last_reply) = 0;

  // True for tokens that end an answer.
  virtual bool is_stop(TokenId token) const = 0;

  virtual std::unique_ptr<Decoder> new_decoder() const = 0;
};

}  // namespace runner
