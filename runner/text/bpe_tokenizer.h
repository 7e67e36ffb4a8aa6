#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runner/engine.h"
#include "runner/text/added_tokens.h"
#include "runner/text/bpe_definition.h"
#include "runner/text/bpe_vocabulary.h"
#include "runner/text/pretokenizer.h"
#include "runner/text/prompt_text.h"
#include "runner/text/text_rewriter.h"

namespace runner {

// What text that spells a special token becomes.
enum class SpecialText {
  kOrdinary,  // tokens like any other text: for everything that comes from outside
  kTokens,    // the special token: for text of our own
};

// A BPE tokenizer, over bytes or over characters, giving the ids that HuggingFace's tokenizers
// give for a tokenizer.json, tiktoken for its files, SentencePiece for its models. Immutable; may
// be used from several threads at once.
class BpeTokenizer {
 public:
  // Throws Error(kBadModel) when parts do not fit together (BpeVocabulary) or a pattern is wrong.
  explicit BpeTokenizer(const BpeDefinition& definition);

  // The ids of a text, without before() and after(). Added tokens that are not special are matched
  // in parts from outside too, as HuggingFace does (`<think>`, `<tool_call>`). Takes time in
  // proportion to the text, times a logarithm within pieces that have no place to cut.
  // REQUIRES: is_valid_utf8(text.text()).
  std::vector<TokenId> encode(const PromptText& text) const;

  // The same for a text of one part. Invalid UTF-8 counts as U+FFFD.
  std::vector<TokenId> encode(std::string_view text, SpecialText special) const;

  // What HuggingFace puts around a text when it is to add special tokens.
  const std::vector<TokenId>& before() const { return before_; }
  const std::vector<TokenId>& after() const { return after_; }

  // The token that ends a text, where the tokenizer's own file says which.
  std::optional<TokenId> end_of_text() const { return end_of_text_; }

  // The bytes that a token adds to an answer, perhaps a part of a character; none for special
  // tokens and ids without a token. Valid as long as this object.
  std::string_view bytes(TokenId token) const;

  // The same, but special tokens by name.
  std::string_view spelling(TokenId token) const;

  // True where a space at the very start of a decoded text is not part of it.
  bool drops_first_space() const { return drops_first_space_; }

  bool is_special(TokenId token) const;

  // The id of the added token, or else of the vocabulary's token, that stands for `text`.
  std::optional<TokenId> find(std::string_view text) const;

  // One more than the highest id.
  int vocab() const;

  // For people: "byte-level BPE", "SentencePiece BPE".
  std::string_view kind() const;

 private:
  struct Added {
    std::string text;  // as the token is shown
    bool special = false;
  };

  std::vector<AddedToken> select(const BpeDefinition& definition, bool after_normalizing) const;
  const Added* find_added(TokenId token) const;
  void encode_part(std::string_view part, bool is_first, std::vector<TokenId>& ids) const;
  void cut_and_encode(std::string_view text, std::vector<TokenId>& ids) const;

  BpeVocabulary vocabulary_;
  BpeDefinition::Symbols symbols_;
  TextRewriter normalizer_;
  TextRewriter rewriter_;
  Pretokenizer pretokenizer_;
  AddedTokenMatcher before_normalizing_;
  AddedTokenMatcher after_normalizing_;
  bool drops_first_space_;
  std::vector<TokenId> before_;
  std::vector<TokenId> after_;
  std::optional<TokenId> end_of_text_;
  std::unordered_map<TokenId, Added> added_;
  std::unordered_map<std::string, TokenId> added_ids_;  // by text
  TokenId highest_;
};

}  // namespace runner
