#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runner/added_tokens.h"
#include "runner/bpe_merges.h"
#include "runner/engine.h"
#include "runner/pretokenizer.h"
#include "runner/tokenizer_json.h"

namespace runner {

// What text that spells a special token becomes.
enum class SpecialText {
  kOrdinary,  // tokens like any other text: for everything that comes from outside
  kTokens,    // the special token: for text of our own
};

// A byte-level BPE tokenizer, giving the ids that HuggingFace's tokenizers give for the same
// tokenizer.json. Immutable; may be used from several threads at once.
class BpeTokenizer {
 public:
  // Throws Error(kBadModel) when parts do not fit together: a byte without a token, a merge of
  // tokens that are not there, two tokens with one id, a wrong pattern.
  explicit BpeTokenizer(const TokenizerJson& json);

  // The ids of `text`. Added tokens that are not special are matched in it either way, as
  // HuggingFace does (`<think>`, `<tool_call>`). Invalid UTF-8 counts as U+FFFD. Takes time in
  // proportion to the text, times a logarithm within pieces that have no place to cut.
  std::vector<TokenId> encode(std::string_view text, SpecialText special) const;

  // The bytes that a token adds to an answer, perhaps a part of a character; none for special
  // tokens and ids without a token. Valid as long as this object.
  std::string_view bytes(TokenId token) const;

  bool is_special(TokenId token) const;

  // The id of the added token, or else of the vocabulary's token, that stands for `text`.
  std::optional<TokenId> find(std::string_view text) const;

  // One more than the highest id.
  int vocab() const { return static_cast<int>(tokens_.size()); }

 private:
  struct Token {
    std::string bytes;
    bool exists = false;
    bool special = false;
  };

  // Added tokens in the two rounds in which they are looked for.
  struct Matchers {
    AddedTokenMatcher before_normalizing;
    AddedTokenMatcher after_normalizing;
  };

  static Matchers make_matchers(const TokenizerJson& json, bool with_special);
  void add_vocabulary(const TokenizerJson& json);
  void add_merges(const TokenizerJson& json);
  void add_added_tokens(const TokenizerJson& json);
  Token& new_token(TokenId id);
  void encode_normalized(std::string_view text, std::vector<TokenId>& ids) const;

  Pretokenizer pretokenizer_;
  BpeMerges merges_;
  Matchers ordinary_;
  Matchers with_special_;
  bool nfc_;
  bool prefix_space_;
  std::vector<Token> tokens_;               // by id
  std::array<TokenId, 256> byte_tokens_{};  // by byte
  std::unordered_map<std::string, TokenId> added_;
  std::unordered_map<std::string, TokenId> whole_pieces_;  // by bytes, when merges are ignored
};

}  // namespace runner
