#include "runner/text/bpe_vocabulary.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "runner/error.h"
#include "runner/excerpt.h"
#include "runner/text/byte_alphabet.h"
#include "runner/text/utf8_stream.h"

namespace runner {
namespace {

using Symbols = BpeDefinition::Symbols;

constexpr std::string_view kSpaceSymbol = "\u2581";  // SentencePiece's

std::string byte_fallback_name(unsigned byte) {
  char name[8];
  std::snprintf(name, sizeof name, "<0x%02X>", byte);
  return name;
}

// The byte that "<0x0A>" names.
std::optional<char> byte_of_fallback_name(const std::string& name) {
  if (name.size() != 6 || !name.starts_with("<0x")) return std::nullopt;
  unsigned byte = 0;
  if (std::sscanf(name.c_str(), "<0x%2X>", &byte) != 1 || byte_fallback_name(byte) != name) {
    return std::nullopt;
  }
  return static_cast<char>(byte);
}

std::string with_spaces(std::string_view spelling) {
  std::string bytes;
  for (std::size_t at = 0; at < spelling.size();) {
    const bool is_space = spelling.substr(at).starts_with(kSpaceSymbol);
    bytes += is_space ? ' ' : spelling[at];
    at += is_space ? kSpaceSymbol.size() : 1;
  }
  return bytes;
}

bool has_space_behind_another(std::string_view spelling) {
  const std::string text = with_spaces(spelling);
  return text.find(' ', std::min(text.find_first_not_of(' '), text.size())) != std::string::npos;
}

}  // namespace

BpeVocabulary::BpeVocabulary(const BpeDefinition& definition)
    : source_(definition.source),
      symbols_(definition.symbols),
      byte_fallback_(definition.byte_fallback),
      unknown_(definition.unknown),
      fuse_unknown_(definition.fuse_unknown) {
  const IdBySpelling ids = add_tokens(definition);
  if (symbols_ != Symbols::kCharacters || byte_fallback_) add_byte_tokens(ids);
  if (symbols_ == Symbols::kCharacters) add_characters(definition);
  if (definition.ranks.empty()) {
    add_merges(definition, ids);
  } else {
    add_ranked_merges(definition);
  }
}

void BpeVocabulary::refuse(const std::string& what) const {
  throw Error(ErrorCode::kBadModel, source_ + ": " + what);
}

// As HuggingFace's decoders: what is not spelled in the alphabet is text as it is.
std::string BpeVocabulary::bytes_of(const std::string& spelling) const {
  switch (symbols_) {
    case Symbols::kByteAlphabet:
      return bytes_of_symbols(spelling).value_or(spelling);
    case Symbols::kBytes:
      return spelling;
    case Symbols::kCharacters:
      break;
  }
  const auto byte = byte_fallback_ ? byte_of_fallback_name(spelling) : std::nullopt;
  return byte ? std::string(1, *byte) : with_spaces(spelling);
}

BpeVocabulary::IdBySpelling BpeVocabulary::add_tokens(const BpeDefinition& definition) {
  TokenId highest = -1;
  for (const auto& [spelling, id] : definition.vocabulary) highest = std::max(highest, id);
  tokens_.resize(static_cast<std::size_t>(highest) + 1);
  IdBySpelling ids;
  ids.reserve(definition.vocabulary.size());
  for (const auto& [spelling, id] : definition.vocabulary) {
    Token& token = tokens_[static_cast<std::size_t>(id)];
    if (token.exists) {
      refuse("tokens \"" + excerpt(to_valid_utf8(token.bytes)) + "\" and \"" +
             excerpt(to_valid_utf8(spelling)) + "\" have the same id " + std::to_string(id));
    }
    token = {bytes_of(spelling), true};
    ids.emplace(spelling, id);
    if (definition.ignore_merges) whole_pieces_.emplace(token.bytes, id);
  }
  return ids;
}

void BpeVocabulary::add_byte_tokens(const IdBySpelling& ids) {
  for (unsigned byte = 0; byte < byte_tokens_.size(); ++byte) {
    const std::string name = symbols_ == Symbols::kByteAlphabet
                                 ? byte_symbol(static_cast<std::uint8_t>(byte))
                             : symbols_ == Symbols::kBytes ? std::string(1, static_cast<char>(byte))
                                                           : byte_fallback_name(byte);
    const auto found = ids.find(name);
    if (found == ids.end()) {
      refuse("vocab has no token \"" + excerpt(to_valid_utf8(name)) + "\" for byte " +
             std::to_string(byte) + "; " +
             (symbols_ == Symbols::kCharacters ? "byte_fallback" : "a byte-level BPE") +
             " needs all 256");
    }
    byte_tokens_[byte] = found->second;
  }
}

void BpeVocabulary::add_characters(const BpeDefinition& definition) {
  if (!byte_fallback_ && !unknown_) {
    refuse("has neither byte_fallback nor a token for unknown characters");
  }
  can_cut_before_spaces_ = true;
  for (const auto& [spelling, id] : definition.vocabulary) {
    if (!spelling.empty() && next_utf8_sequence(spelling).bytes == spelling.size()) {
      characters_.emplace(spelling, id);
    }
    if (has_space_behind_another(spelling)) can_cut_before_spaces_ = false;
  }
}

void BpeVocabulary::add_merges(const BpeDefinition& definition, const IdBySpelling& ids) {
  const auto id_of = [&](std::string_view spelling, std::size_t rank) {
    const auto found = ids.find(spelling);
    if (found == ids.end()) {
      refuse("merge " + std::to_string(rank) + " needs token \"" + excerpt(spelling) +
             "\", which vocab does not have");
    }
    return found->second;
  };
  merges_ = BpeMerges(definition.merges.size());
  std::string together;
  for (std::size_t rank = 0; rank < definition.merges.size(); ++rank) {
    const auto& [left, right] = definition.merges[rank];
    (together = left) += right;
    const TokenId left_id = id_of(left, rank);
    const TokenId right_id = id_of(right, rank);
    merges_.add(left_id, right_id, static_cast<std::uint32_t>(rank), id_of(together, rank));
  }
}

void BpeVocabulary::add_ranked_merges(const BpeDefinition& definition) {
  struct Ranked {
    TokenId left, right;
    std::uint32_t rank;
    TokenId merged;
  };
  IdBySpelling ids;
  ids.reserve(definition.vocabulary.size());
  const auto each_ranked = [&](const auto& visit) {
    for (std::size_t i = 0; i < definition.vocabulary.size(); ++i) {
      if (definition.ranks[i] == BpeDefinition::kNoRank) continue;
      visit(std::string_view(definition.vocabulary[i].first), definition.vocabulary[i].second,
            definition.ranks[i]);
    }
  };
  each_ranked(
      [&](std::string_view spelling, TokenId id, std::uint32_t) { ids.emplace(spelling, id); });
  std::vector<Ranked> merges;
  each_ranked([&](std::string_view spelling, TokenId id, std::uint32_t rank) {
    for (std::size_t cut = 1; cut < spelling.size(); ++cut) {
      const auto left = ids.find(spelling.substr(0, cut));
      if (left == ids.end()) continue;
      const auto right = ids.find(spelling.substr(cut));
      if (right != ids.end()) merges.push_back({left->second, right->second, rank, id});
    }
  });
  merges_ = BpeMerges(merges.size());
  for (const Ranked& one : merges) merges_.add(one.left, one.right, one.rank, one.merged);
}

void BpeVocabulary::encode(std::string_view piece, std::vector<TokenId>& ids) const {
  if (!whole_pieces_.empty()) {
    const auto whole = whole_pieces_.find(std::string(piece));
    if (whole != whole_pieces_.end()) {
      ids.push_back(whole->second);
      return;
    }
  }
  std::vector<TokenId> symbols;
  symbols.reserve(piece.size());
  if (symbols_ == Symbols::kCharacters) {
    list_characters(piece, symbols);
  } else {
    for (const char byte : piece) symbols.push_back(byte_tokens_[static_cast<unsigned char>(byte)]);
  }
  merges_.apply(symbols);
  ids.insert(ids.end(), symbols.begin(), symbols.end());
}

void BpeVocabulary::list_characters(std::string_view piece, std::vector<TokenId>& symbols) const {
  bool after_unknown = false;
  while (!piece.empty()) {
    const std::string character(piece.substr(0, next_utf8_sequence(piece).bytes));
    piece.remove_prefix(character.size());
    const auto found = characters_.find(character);
    const bool is_unknown = found == characters_.end() && !byte_fallback_;
    if (found != characters_.end()) {
      symbols.push_back(found->second);
    } else if (byte_fallback_) {
      for (const char byte : character) {
        symbols.push_back(byte_tokens_[static_cast<unsigned char>(byte)]);
      }
    } else if (!after_unknown || !fuse_unknown_) {
      symbols.push_back(*unknown_);
    }
    after_unknown = is_unknown;
  }
}

std::string_view BpeVocabulary::bytes(TokenId token) const {
  const auto index = static_cast<std::size_t>(token);
  return token >= 0 && index < tokens_.size() ? tokens_[index].bytes : std::string_view();
}

std::optional<TokenId> BpeVocabulary::find(std::string_view bytes) const {
  const auto found = std::find_if(tokens_.begin(), tokens_.end(), [bytes](const Token& token) {
    return token.exists && token.bytes == bytes;
  });
  if (found == tokens_.end()) return std::nullopt;
  return static_cast<TokenId>(found - tokens_.begin());
}

}  // namespace runner
