#pragma once

#include <memory>
#include <optional>
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

// What a task says about how its conversation is written down.
struct PromptOptions {
  std::string system;                            // empty: none of the task's own
  std::optional<bool> enable_thinking{};         // unset: as the model's template has it
  std::optional<std::string> template_family{};  // in place of the model's template
  bool adds_bos = false;                         // the tokenizer's bos in front of everything
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

  // What encode_turn() gave for the same texts and the ids of `reply`, the answer to it, as turns
  // after it are to find them; nothing where they stay as they are. Models that think do not see
  // the thinking of earlier answers, say.
  virtual std::optional<std::vector<TokenId>> past_turn(std::string_view /*user*/,
                                                        std::string_view /*last_reply*/,
                                                        std::string_view /*reply*/) {
    return std::nullopt;
  }

  // True for tokens that end an answer.
  virtual bool is_stop(TokenId token) const = 0;

  virtual std::unique_ptr<Decoder> new_decoder() const = 0;
};

}  // namespace runner
