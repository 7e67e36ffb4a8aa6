#include "runner/text/added_tokens.h"

#include <utf8proc.h>

#include <algorithm>
#include <utility>

namespace runner {
namespace {

// Bytes of the White_Space character (Unicode 15, PropList.txt) at the start of `text`, or 0.
std::size_t space_bytes(std::string_view text) {
  if (text.empty()) return 0;
  const auto byte = static_cast<unsigned char>(text[0]);
  if (byte == ' ' || (byte >= '\t' && byte <= '\r')) return 1;
  if (text.starts_with("\xC2\x85") || text.starts_with("\xC2\xA0")) return 2;
  if (text.size() < 3) return 0;
  const std::string_view three = text.substr(0, 3);
  const bool is_space = three == "\xE1\x9A\x80" ||                               // U+1680
                        (three >= "\xE2\x80\x80" && three <= "\xE2\x80\x8A") ||  // U+2000..200A
                        three == "\xE2\x80\xA8" || three == "\xE2\x80\xA9" ||    // U+2028, 2029
                        three == "\xE2\x80\xAF" ||                               // U+202F
                        three == "\xE2\x81\x9F" || three == "\xE3\x80\x80";      // U+205F, 3000
  return is_space ? 3 : 0;
}

std::size_t skip_space(std::string_view text, std::size_t at) {
  while (const std::size_t bytes = space_bytes(text.substr(at))) at += bytes;
  return at;
}

// The start of the white space that ends at `at`, not before `from`.
std::size_t skip_space_back(std::string_view text, std::size_t from, std::size_t at) {
  for (std::size_t bytes = 1; bytes <= 3 && bytes <= at - from;) {
    if (space_bytes(text.substr(at - bytes, bytes)) == bytes) {
      at -= bytes;
      bytes = 1;
    } else {
      ++bytes;
    }
  }
  return at;
}

// As \w of Rust's regular expressions, which HuggingFace uses here: letters, marks, decimal digits,
// connectors and joiners.
bool is_word_character(std::int32_t point) {
  switch (utf8proc_category(point)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return point == 0x200C || point == 0x200D;
  }
}

bool starts_with_word(std::string_view text) {
  std::int32_t point = -1;
  utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                   static_cast<utf8proc_ssize_t>(text.size()), &point);
  return point >= 0 && is_word_character(point);
}

bool ends_with_word(std::string_view text) {
  std::size_t at = text.size();
  while (at > 0 && (static_cast<unsigned char>(text[--at]) & 0xC0U) == 0x80U) {
  }
  return starts_with_word(text.substr(at));
}

bool is_within_a_word(std::string_view text, TextRange range) {
  return ends_with_word(text.substr(0, range.begin)) || starts_with_word(text.substr(range.end));
}

bool overlaps(std::span<const TextRange> parts, TextRange range) {
  const auto part = std::partition_point(
      parts.begin(), parts.end(), [&](const TextRange& one) { return one.end <= range.begin; });
  return part != parts.end() && part->begin < range.end;
}

unsigned char first_byte(const AddedToken& token) {
  return static_cast<unsigned char>(token.text[0]);
}

}  // namespace

AddedTokenMatcher::AddedTokenMatcher(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::sort(tokens_.begin(), tokens_.end(), [](const AddedToken& left, const AddedToken& right) {
    if (first_byte(left) != first_byte(right)) return first_byte(left) < first_byte(right);
    return left.text.size() > right.text.size();
  });
  for (unsigned byte = 0; byte <= 0x100; ++byte) {
    const auto start =
        std::find_if(tokens_.begin(), tokens_.end(),
                     [byte](const AddedToken& token) { return first_byte(token) >= byte; });
    starts_.push_back(static_cast<std::size_t>(start - tokens_.begin()));
  }
}

const AddedToken* AddedTokenMatcher::token_at(std::string_view text, std::size_t at,
                                              std::span<const TextRange> outside) const {
  const auto byte = static_cast<unsigned char>(text[at]);
  for (std::size_t i = starts_[byte]; i < starts_[byte + 1U]; ++i) {
    const AddedToken& token = tokens_[i];
    // Tokens alike at the start ("<|…") differ at the end.
    if (token.text.back() != text[std::min(at + token.text.size(), text.size()) - 1]) continue;
    if (!text.substr(at).starts_with(token.text)) continue;
    if (token.special && overlaps(outside, {at, at + token.text.size()})) continue;
    return &token;
  }
  return nullptr;
}

std::optional<AddedTokenMatcher::Match> AddedTokenMatcher::find(
    std::string_view text, std::size_t from, std::span<const TextRange> outside) const {
  if (tokens_.empty()) return std::nullopt;
  for (std::size_t at = from; at < text.size();) {
    const AddedToken* token = token_at(text, at, outside);
    const std::size_t end = at + (token == nullptr ? 1 : token->text.size());
    // As HuggingFace: what is passed over within a word is not looked at again for another token.
    if (token == nullptr || (token->single_word && is_within_a_word(text, {at, end}))) {
      at = end;
      continue;
    }
    return Match{token->id,
                 {token->lstrip ? skip_space_back(text, from, at) : at,
                  token->rstrip ? skip_space(text, end) : end}};
  }
  return std::nullopt;
}

}  // namespace runner
