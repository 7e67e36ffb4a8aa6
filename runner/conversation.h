#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include "runner/model.h"
#include "runner/session.h"

namespace runner {

// Session with text instead of tokens: a system prompt, turns, and what happens when a kept
// conversation no longer fits.
//
// Threads: one call at a time.
class Conversation {
 public:
  // With keep_conversation (context models) turns follow one another; else each stands alone.
  // Throws what engine, encoder and cache throw.
  Conversation(std::shared_ptr<const Model> model, PromptOptions options, bool keep_conversation);

  // The answer to `user`; see Session::generate. A kept conversation that has no room for this
  // turn and an answer of more than one token is forgotten first; then the turn stands alone.
  GenerationResult ask(std::string_view user, const std::shared_ptr<const SoftPrefix>& prefix,
                       const GenerationOptions& options, const TextSink& sink,
                       std::stop_token stop);

  // Back to just after the system prompt.
  void reset();

 private:
  std::shared_ptr<const Model> model_;
  std::string system_;
  bool keep_conversation_;
  std::unique_ptr<PromptEncoder> encoder_;
  Session session_;
  std::string last_reply_;
};

}  // namespace runner
