#include "runner/text/native_prompt_encoder.h"

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <utility>

#include "runner/error.h"
#include "runner/text/token_decoder.h"

namespace runner {
namespace {

class NativePromptEncoder : public PromptEncoder {
 public:
  NativePromptEncoder(std::shared_ptr<const BpeTokenizer> tokenizer, ChatTemplate chat_template,
                      NativePromptOptions options)
      : tokenizer_(std::move(tokenizer)),
        template_(std::move(chat_template)),
        options_(std::move(options)) {
    const std::string& token = template_.needed_token();
    if (!token.empty() && !tokenizer_->find(token)) {
      throw Error(ErrorCode::kBadModel, "the chat template (" + template_.name() +
                                            ") needs the token " + token +
                                            ", which the tokenizer does not have");
    }
    begin({});
    const auto end_of_answer = tokenizer_->encode(border_);
    if (is_special_at(end_of_answer, 0)) options_.stop_tokens.push_back(end_of_answer.front());
  }

  std::vector<TokenId> begin(std::string_view system) final {
    start();
    opening_ = make_opening(system);
    head_ = tokenizer_->encode(opening_);
    while (!head_.empty() && !tokenizer_->is_special(head_.back())) head_.pop_back();
    if (!head_.empty()) head_.pop_back();
    return head_;
  }

  std::vector<TokenId> encode_turn(std::string_view user, std::string_view last_reply) override {
    return encode_behind(last_reply.empty(),
                         [&](PromptText& text) { format_.write_user(user, text); });
  }

  std::optional<std::vector<TokenId>> past_turn(std::string_view user, std::string_view last_reply,
                                                std::string_view reply) override {
    if (!format_.rewrites(reply)) return std::nullopt;
    return encode_behind(last_reply.empty(),
                         [&](PromptText& text) { format_.write_past_turn(user, reply, text); });
  }

  bool is_stop(TokenId token) const override {
    const auto& stops = options_.stop_tokens;
    return std::find(stops.begin(), stops.end(), token) != stops.end();
  }

  std::unique_ptr<Decoder> new_decoder() const override { return make_token_decoder(tokenizer_); }

 private:
  // The format of today.
  void start() {
    format_ = template_.format(options_.enable_thinking, options_.now());
    border_ = PromptText();
    format_.write_border(border_);
  }

  PromptText make_opening(std::string_view system) const {
    PromptText opening;
    format_.write_opening(system, opening);
    const std::string& bos = options_.bos_token;
    const std::size_t own_bytes =
        opening.outside().empty() ? opening.text().size() : opening.outside().front().begin;
    if (own_bytes >= bos.size() && opening.text().starts_with(bos)) return opening;
    PromptText with_bos;
    with_bos.add_own(bos);
    format_.write_opening(system, with_bos);
    return with_bos;
  }

  bool is_special_at(const std::vector<TokenId>& ids, std::size_t index) const {
    return index < ids.size() && tokenizer_->is_special(ids[index]);
  }

  // The ids of what `write` adds, behind the head or an answer.
  template <typename Write>
  std::vector<TokenId> encode_behind(bool is_first, const Write& write) const {
    if (is_first) {
      PromptText text = opening_;
      write(text);
      return without(head_, tokenizer_->encode(text));
    }
    PromptText text = border_;
    write(text);
    auto ids = tokenizer_->encode(text);
    if (is_special_at(ids, 0)) return ids;
    // Text behind an answer that no token closes. Encoded alone it would count as the start of
    // a text; behind a new line it does not, and nothing merges with that.
    PromptText behind_line;
    behind_line.add_own("\n");
    const auto line = tokenizer_->encode(behind_line);
    behind_line.add_own(format_.between_turns);
    write(behind_line);
    return without(line, tokenizer_->encode(behind_line));
  }

  static std::vector<TokenId> without(const std::vector<TokenId>& front, std::vector<TokenId> ids) {
    if (ids.size() < front.size() || !std::equal(front.begin(), front.end(), ids.begin())) {
      throw Error(
          ErrorCode::kBadModel,
          "the tokenizer's ids in front of a special token depend on what stands behind it");
    }
    ids.erase(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(front.size()));
    return ids;
  }

  std::shared_ptr<const BpeTokenizer> tokenizer_;
  ChatTemplate template_;
  NativePromptOptions options_;
  ChatFormat format_;          // of the day of begin()
  PromptText border_;          // between an answer and the next user text
  PromptText opening_;         // up to the first user text
  std::vector<TokenId> head_;  // what begin() gave: ids at the front of the opening's
};

}  // namespace

std::unique_ptr<PromptEncoder> make_native_prompt_encoder(
    std::shared_ptr<const BpeTokenizer> tokenizer, ChatTemplate chat_template,
    NativePromptOptions options) {
  return std::make_unique<NativePromptEncoder>(std::move(tokenizer), std::move(chat_template),
                                               std::move(options));
}

}  // namespace runner
