#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runner/engine.h"
#include "runner/text/bpe_definition.h"
#include "runner/text/bpe_merges.h"

namespace runner {

// The tokens of a byte-pair encoding and how they merge: the model behind BpeTokenizer, which
// knows nothing of added tokens, normalizing and cutting. Immutable.
class BpeVocabulary {
 public:
  // Throws Error(kBadModel): a byte without a token, a merge of tokens that are not there, two
  // tokens with one id.
  explicit BpeVocabulary(const BpeDefinition& definition);

  // Appends the ids of `piece`. REQUIRES: is_valid_utf8(piece).
  void encode(std::string_view piece, std::vector<TokenId>& ids) const;

  // What a token stands for; empty for ids without a token. Valid as long as this object.
  std::string_view bytes(TokenId token) const;

  // The token that stands for `bytes`, the lowest of several. Takes time: for names, not for text.
  std::optional<TokenId> find(std::string_view bytes) const;

  // The bytes of a token that is spelled so.
  std::string bytes_of(const std::string& spelling) const;

  // One more than the highest id.
  int size() const { return static_cast<int>(tokens_.size()); }

  // True when nothing merges across the start of a run of spaces (U+2581), so that a text may be
  // cut there.
  bool can_cut_before_spaces() const { return can_cut_before_spaces_; }

 private:
  struct Token {
    std::string bytes;
    bool exists = false;
  };
  using IdBySpelling = std::unordered_map<std::string_view, TokenId>;

  [[noreturn]] void refuse(const std::string& what) const;
  IdBySpelling add_tokens(const BpeDefinition& definition);
  void add_byte_tokens(const IdBySpelling& ids);
  void add_characters(const BpeDefinition& definition);
  void add_merges(const BpeDefinition& definition, const IdBySpelling& ids);
  void add_ranked_merges(const BpeDefinition& definition);
  void list_characters(std::string_view piece, std::vector<TokenId>& symbols) const;

  std::string source_;
  BpeDefinition::Symbols symbols_;
  std::vector<Token> tokens_;               // by id
  std::array<TokenId, 256> byte_tokens_{};  // by byte; with kCharacters those of byte_fallback
  BpeMerges merges_{0};
  std::unordered_map<std::string, TokenId> whole_pieces_;  // by bytes, when merges are ignored
  std::unordered_map<std::string, TokenId> characters_;    // with kCharacters
  bool byte_fallback_;
  std::optional<TokenId> unknown_;
  bool fuse_unknown_;
  bool can_cut_before_spaces_ = false;
};

}  // namespace runner
