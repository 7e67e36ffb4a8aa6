#include "runner/conversation.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace runner {

Conversation::Conversation(std::shared_ptr<const Model> model, PromptOptions options,
                           bool keep_conversation)
    : model_(std::move(model)),
      system_(options.system),
      keep_conversation_(keep_conversation),
      encoder_(model_->new_prompt_encoder(options)),
      session_(model_->new_engine(), model_->embeddings, *encoder_, keep_conversation) {
  session_.restart(encoder_->begin(system_));
}

void Conversation::reset() {
  // Begun anew on the encoder's side too: the HTTP service keeps the conversation there.
  session_.restart(encoder_->begin(system_));
  last_reply_.clear();
}

GenerationResult Conversation::ask(std::string_view user,
                                   const std::shared_ptr<const SoftPrefix>& prefix,
                                   const GenerationOptions& options, const TextSink& sink,
                                   std::stop_token stop) {
  std::vector<TokenId> turn = encoder_->encode_turn(user, last_reply_);
  if (session_.has_history()) {
    int room = session_.shape().context - (prefix ? prefix->rows() : 0);
    if (options.max_total_tokens > 0) room = std::min(room, options.max_total_tokens);
    if (session_.tokens() + static_cast<int>(turn.size()) >= room) {
      reset();
      turn = encoder_->encode_turn(user, last_reply_);
    }
  }
  GenerationResult result = session_.generate(turn, prefix, options, sink, std::move(stop));
  if (keep_conversation_ && !result.text.empty()) {
    if (const auto past = encoder_->past_turn(user, last_reply_, result.text)) {
      session_.replace_last_turn(*past);
    }
    last_reply_ = result.text;
  }
  return result;
}

}  // namespace runner
