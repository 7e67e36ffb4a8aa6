#include "runner/native_prompt_encoder.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "runner/error.h"
#include "runner/token_decoder.h"

namespace runner {
namespace {

class NativePromptEncoder : public PromptEncoder {
 public:
  NativePromptEncoder(std::shared_ptr<const BpeTokenizer> tokenizer, ChatTemplate chat_template,
                      std::vector<TokenId> stop_tokens)
      : tokenizer_(std::move(tokenizer)),
        template_(std::move(chat_template)),
        stop_tokens_(std::move(stop_tokens)) {
    token_id(template_.start_token());
    token_id(template_.end_token());
  }

  std::vector<TokenId> begin(std::string_view system) override {
    return encode(template_.head(system));
  }

  std::vector<TokenId> encode_turn(std::string_view user, std::string_view last_reply) override {
    return encode(template_.turn(user, !last_reply.empty()));
  }

  bool is_stop(TokenId token) const override {
    return std::find(stop_tokens_.begin(), stop_tokens_.end(), token) != stop_tokens_.end();
  }

  std::unique_ptr<Decoder> new_decoder() const override {
    return make_token_decoder(tokenizer_);
  }

 private:
  TokenId token_id(std::string_view name) const {
    const std::optional<TokenId> id = tokenizer_->find(name);
    if (!id) {
      throw Error(ErrorCode::kBadModel, "the chat template needs the token " + std::string(name) +
                                            ", which the tokenizer does not have");
    }
    return *id;
  }

  std::vector<TokenId> encode(const std::vector<PromptPart>& parts) const {
    std::vector<TokenId> ids;
    for (const PromptPart& part : parts) {
      if (part.is_token) {
        ids.push_back(token_id(part.text));
      } else {
        const auto more = tokenizer_->encode(part.text, SpecialText::kOrdinary);
        ids.insert(ids.end(), more.begin(), more.end());
      }
    }
    return ids;
  }

  std::shared_ptr<const BpeTokenizer> tokenizer_;
  ChatTemplate template_;
  std::vector<TokenId> stop_tokens_;
};

}  // namespace

std::unique_ptr<PromptEncoder> make_native_prompt_encoder(
    std::shared_ptr<const BpeTokenizer> tokenizer, ChatTemplate chat_template,
    std::vector<TokenId> stop_tokens) {
  return std::make_unique<NativePromptEncoder>(std::move(tokenizer), std::move(chat_template),
                                               std::move(stop_tokens));
}

}  // namespace runner
