#include "runner/text/chars_map.h"

#include "runner/error.h"
#include "runner/text/utf8_stream.h"

namespace runner {
namespace {

// The builder lays units out in blocks of 256, one place for each byte.
constexpr std::size_t kBlockUnits = 256;
// The longest key of SentencePiece's own tables has 10 bytes; a broken table could lead in circles.
constexpr std::size_t kMostKeyBytes = 256;

// A unit of darts-clone's double array: an inner node, or the value of a key.
constexpr std::uint32_t kIsValue = 1U << 31U;

bool has_value(std::uint32_t unit) { return ((unit >> 8U) & 1U) != 0; }
// A value never equals a byte.
std::uint32_t label(std::uint32_t unit) { return unit & (kIsValue | 0xFFU); }
std::size_t children(std::uint32_t unit) { return (unit >> 10U) << ((unit & (1U << 9U)) >> 6U); }

[[noreturn]] void refuse_map(const std::string& what) {
  throw Error(ErrorCode::kBadModel, "precompiled_charsmap: " + what);
}

std::uint32_t read_unit(std::string_view bytes) {
  std::uint32_t unit = 0;
  for (unsigned i = 0; i < 4; ++i) {
    unit |= std::uint32_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
  }
  return unit;
}

AddedTokenMatcher match_all(const std::vector<std::string>& texts) {
  std::vector<AddedToken> tokens;
  tokens.reserve(texts.size());
  for (const std::string& text : texts) tokens.push_back({.text = text});
  return AddedTokenMatcher(std::move(tokens));
}

}  // namespace

CharsMap::CharsMap(std::string_view precompiled, const std::vector<std::string>& kept)
    : kept_(match_all(kept)) {
  if (precompiled.size() < 4) refuse_map("has no size of its trie");
  const std::size_t trie_bytes = read_unit(precompiled);
  precompiled.remove_prefix(4);
  if (trie_bytes > precompiled.size()) {
    refuse_map("its trie is to have " + std::to_string(trie_bytes) + " bytes, but there are " +
               std::to_string(precompiled.size()));
  }
  if (trie_bytes == 0 || trie_bytes % (4 * kBlockUnits) != 0) {
    refuse_map("its trie has " + std::to_string(trie_bytes) + " bytes, expected a multiple of " +
               std::to_string(4 * kBlockUnits));
  }
  for (std::size_t at = 0; at < trie_bytes; at += 4) {
    units_.push_back(read_unit(precompiled.substr(at, 4)));
  }
  replacements_ = precompiled.substr(trie_bytes);
  check();
}

// With this no walk needs a check: blocks are complete, so that what holds for one child of a node
// holds for all 256.
void CharsMap::check() const {
  if (!is_valid_utf8(replacements_) || !replacements_.ends_with('\0')) {
    refuse_map("its replacements are not UTF-8 that ends with a zero byte");
  }
  for (std::size_t i = 0; i < units_.size(); ++i) {
    if (i != 0 && (units_[i] & kIsValue) != 0) continue;  // the root is always walked through
    const std::size_t first = i ^ children(units_[i]);
    if (first >= units_.size()) {
      refuse_map("unit " + std::to_string(i) + " of its trie leads to unit " +
                 std::to_string(first) + " of " + std::to_string(units_.size()));
    }
    if (!has_value(units_[i])) continue;
    const std::size_t at = units_[first] & ~kIsValue;
    if (at >= replacements_.size() ||
        (static_cast<unsigned char>(replacements_[at]) & 0xC0U) == 0x80U) {
      refuse_map("unit " + std::to_string(i) + " of its trie leads to replacement " +
                 std::to_string(at) + ", which is not the start of one");
    }
  }
}

std::string CharsMap::rewrite(std::string_view text) const {
  std::string result;
  result.reserve(text.size());
  std::size_t at = 0;
  while (const auto kept = kept_.find(text, at, {})) {
    rewrite_part(text.substr(at, kept->range.begin - at), result);
    result += text.substr(kept->range.begin, kept->range.end - kept->range.begin);
    at = kept->range.end;
  }
  rewrite_part(text.substr(at), result);
  return result;
}

void CharsMap::rewrite_part(std::string_view text, std::string& result) const {
  while (!text.empty()) {
    std::size_t bytes = 0;
    if (const auto match = longest_match(text)) {
      result += match->replacement;
      bytes = match->bytes;
    } else {
      const Utf8Sequence character = next_utf8_sequence(text);
      bytes = character.bytes;
      if (character.kind == Utf8Sequence::Kind::kWhole) {
        result += text.substr(0, bytes);
      } else {
        result += "\uFFFD";
      }
    }
    text.remove_prefix(bytes);
  }
}

std::optional<CharsMap::Match> CharsMap::longest_match(std::string_view text) const {
  std::optional<Match> longest;
  std::size_t node = children(units_[0]);
  const std::string_view key = text.substr(0, kMostKeyBytes);
  for (std::size_t i = 0; i < key.size(); ++i) {
    const auto byte = static_cast<unsigned char>(key[i]);
    const std::size_t child = node ^ byte;
    if (label(units_[child]) != byte) break;
    node = child ^ children(units_[child]);
    if (has_value(units_[child])) {
      const std::uint32_t at = units_[node] & ~kIsValue;
      longest = Match{i + 1, replacements_.c_str() + at};
    }
  }
  return longest;
}

}  // namespace runner
