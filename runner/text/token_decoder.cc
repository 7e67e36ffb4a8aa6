#include "runner/text/token_decoder.h"

#include <string>
#include <string_view>
#include <utility>

#include "runner/text/utf8_stream.h"

namespace runner {
namespace {

class TokenDecoder : public Decoder {
 public:
  explicit TokenDecoder(std::shared_ptr<const BpeTokenizer> tokenizer)
      : tokenizer_(std::move(tokenizer)), drops_space_(tokenizer_->drops_first_space()) {}

  std::string push(TokenId token) override {
    std::string_view bytes = tokenizer_->bytes(token);
    if (drops_space_ && !bytes.empty()) {
      drops_space_ = false;
      if (bytes.starts_with(' ')) bytes.remove_prefix(1);
    }
    std::string text;
    stream_.push(bytes, text);
    return text;
  }

 private:
  std::shared_ptr<const BpeTokenizer> tokenizer_;
  bool drops_space_;
  Utf8Stream stream_;
};

}  // namespace

std::unique_ptr<Decoder> make_token_decoder(std::shared_ptr<const BpeTokenizer> tokenizer) {
  return std::make_unique<TokenDecoder>(std::move(tokenizer));
}

}  // namespace runner
