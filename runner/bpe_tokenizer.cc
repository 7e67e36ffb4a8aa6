#include "runner/bpe_tokenizer.h"

#include <algorithm>
#include <utility>

#include "runner/byte_alphabet.h"
#include "runner/error.h"
#include "runner/excerpt.h"
#include "runner/nfc.h"
#include "runner/utf8_stream.h"

namespace runner {
namespace {

using IdBySymbols = std::unordered_map<std::string_view, TokenId>;

// Calls token(id) and text(part) for the parts of `text`, in order.
template <typename OnToken, typename OnText>
void each_part(std::string_view text, const AddedTokenMatcher& matcher, const OnToken& on_token,
               const OnText& on_text) {
  std::size_t at = 0;
  while (const auto match = matcher.find(text, at)) {
    if (at < match->range.begin) on_text(text.substr(at, match->range.begin - at));
    on_token(match->id);
    at = match->range.end;
  }
  if (at < text.size()) on_text(text.substr(at));
}

}  // namespace

BpeTokenizer::BpeTokenizer(const TokenizerJson& json)
    : pretokenizer_(json.splits),
      merges_(json.merges.size()),
      ordinary_(make_matchers(json, false)),
      with_special_(make_matchers(json, true)),
      nfc_(json.nfc),
      prefix_space_(json.prefix_space) {
  add_vocabulary(json);
  add_merges(json);
  add_added_tokens(json);
}

std::vector<TokenId> BpeTokenizer::encode(std::string_view text, SpecialText special) const {
  std::string valid;
  if (!is_valid_utf8(text)) {
    valid = to_valid_utf8(text);
    text = valid;
  }
  const Matchers& matchers = special == SpecialText::kTokens ? with_special_ : ordinary_;
  std::vector<TokenId> ids;
  const auto push = [&ids](TokenId id) { ids.push_back(id); };
  each_part(text, matchers.before_normalizing, push, [&](std::string_view raw) {
    std::string composed;
    if (nfc_) {
      composed = to_nfc(raw);
      raw = composed;
    }
    each_part(raw, matchers.after_normalizing, push,
              [&](std::string_view part) { encode_normalized(part, ids); });
  });
  return ids;
}

std::string_view BpeTokenizer::bytes(TokenId token) const {
  const auto index = static_cast<std::size_t>(token);
  if (token < 0 || index >= tokens_.size() || tokens_[index].special) return {};
  return tokens_[index].bytes;
}

bool BpeTokenizer::is_special(TokenId token) const {
  const auto index = static_cast<std::size_t>(token);
  return token >= 0 && index < tokens_.size() && tokens_[index].special;
}

std::optional<TokenId> BpeTokenizer::find(std::string_view text) const {
  const auto added = added_.find(std::string(text));
  if (added != added_.end()) return added->second;
  const auto found = std::find_if(tokens_.begin(), tokens_.end(), [text](const Token& token) {
    return token.exists && token.bytes == text;
  });
  if (found == tokens_.end()) return std::nullopt;
  return static_cast<TokenId>(found - tokens_.begin());
}

BpeTokenizer::Matchers BpeTokenizer::make_matchers(const TokenizerJson& json, bool with_special) {
  std::vector<AddedToken> before;
  std::vector<AddedToken> after;
  for (AddedToken token : json.added_tokens) {
    if (token.special && !with_special) continue;
    if (token.normalized && json.nfc) token.text = to_nfc(to_valid_utf8(token.text));
    (token.normalized ? after : before).push_back(std::move(token));
  }
  return {AddedTokenMatcher(std::move(before)), AddedTokenMatcher(std::move(after))};
}

void BpeTokenizer::add_vocabulary(const TokenizerJson& json) {
  TokenId highest = -1;
  for (const auto& [symbols, id] : json.vocabulary) highest = std::max(highest, id);
  tokens_.resize(static_cast<std::size_t>(highest) + 1);

  std::array<bool, 256> has_token{};
  for (const auto& [symbols, id] : json.vocabulary) {
    Token& token = new_token(id);
    if (token.exists) {
      refuse_tokenizer("tokens \"" + excerpt(token.bytes) + "\" and \"" + excerpt(symbols) +
                       "\" have the same id " + std::to_string(id));
    }
    // As HuggingFace's ByteLevel decoder: what is not spelled in the alphabet is text as it is.
    token.bytes = bytes_of_symbols(symbols).value_or(symbols);
    token.exists = true;
    if (json.ignore_merges) whole_pieces_.emplace(token.bytes, id);
    if (token.bytes.size() == 1) {
      const auto byte = static_cast<unsigned char>(token.bytes[0]);
      if (symbols == byte_symbol(byte)) {
        byte_tokens_[byte] = id;
        has_token[byte] = true;
      }
    }
  }
  for (unsigned byte = 0; byte < 256; ++byte) {
    if (has_token[byte]) continue;
    refuse_tokenizer("vocab has no token \"" + byte_symbol(static_cast<std::uint8_t>(byte)) +
                     "\" for byte " + std::to_string(byte) + "; a byte-level BPE needs all 256");
  }
}

void BpeTokenizer::add_merges(const TokenizerJson& json) {
  IdBySymbols ids;
  ids.reserve(json.vocabulary.size());
  for (const auto& [symbols, id] : json.vocabulary) ids.emplace(symbols, id);
  const auto id_of = [&ids](std::string_view symbols, std::size_t rank) {
    const auto found = ids.find(symbols);
    if (found == ids.end()) {
      refuse_tokenizer("merge " + std::to_string(rank) + " needs token \"" + excerpt(symbols) +
                       "\", which vocab does not have");
    }
    return found->second;
  };
  std::string together;
  for (std::size_t rank = 0; rank < json.merges.size(); ++rank) {
    const auto& [left, right] = json.merges[rank];
    (together = left) += right;
    const TokenId left_id = id_of(left, rank);
    const TokenId right_id = id_of(right, rank);
    merges_.add(left_id, right_id, static_cast<std::uint32_t>(rank), id_of(together, rank));
  }
}

void BpeTokenizer::add_added_tokens(const TokenizerJson& json) {
  for (const AddedToken& added : json.added_tokens) {
    Token& token = new_token(added.id);
    token.bytes = bytes_of_symbols(added.text).value_or(added.text);
    token.exists = true;
    token.special = added.special;
    added_.emplace(added.text, added.id);
  }
}

BpeTokenizer::Token& BpeTokenizer::new_token(TokenId id) {
  const auto index = static_cast<std::size_t>(id);
  if (index >= tokens_.size()) tokens_.resize(index + 1);
  return tokens_[index];
}

void BpeTokenizer::encode_normalized(std::string_view text, std::vector<TokenId>& ids) const {
  std::string prefixed;
  if (prefix_space_ && !text.starts_with(' ')) {
    (prefixed = " ") += text;
    text = prefixed;
  }
  std::vector<std::string_view> pieces;
  pretokenizer_.split(text, pieces);
  std::vector<TokenId> tokens;
  std::string key;
  for (const std::string_view piece : pieces) {
    if (!whole_pieces_.empty()) {
      const auto whole = whole_pieces_.find(key = piece);
      if (whole != whole_pieces_.end()) {
        ids.push_back(whole->second);
        continue;
      }
    }
    tokens.clear();
    for (const char byte : piece) tokens.push_back(byte_tokens_[static_cast<unsigned char>(byte)]);
    merges_.apply(tokens);
    ids.insert(ids.end(), tokens.begin(), tokens.end());
  }
}

}  // namespace runner
