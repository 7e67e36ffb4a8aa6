#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runner/text/added_tokens.h"

namespace runner {

// SentencePiece's table of replacements, with which it normalizes text: `precompiled_charsmap` of a
// model's NormalizerSpec. In it stand
//
//   how many bytes the keys have, in 32 bits;
//   the keys, as a double-array trie of 32-bit units (https://github.com/s-yata/darts-clone);
//   the replacements, each ended by a zero byte: a key's value is where its replacement starts;
//
// numbers little-endian (google/sentencepiece, src/normalizer.cc). Immutable.
class CharsMap {
 public:
  // `kept` are the texts that are left as they are. Throws Error(kBadModel) when the table leads
  // out of itself or to text that is not UTF-8.
  CharsMap(std::string_view precompiled, const std::vector<std::string>& kept);

  // `text` with the longest key at each place replaced, from left to right. Valid UTF-8: what the
  // table leaves of a character of which it replaces a part becomes U+FFFD.
  // REQUIRES: is_valid_utf8(text).
  std::string rewrite(std::string_view text) const;

 private:
  struct Match {
    std::size_t bytes;
    const char* replacement;
  };

  void check() const;
  std::optional<Match> longest_match(std::string_view text) const;
  void rewrite_part(std::string_view text, std::string& result) const;

  std::vector<std::uint32_t> units_;
  std::string replacements_;
  AddedTokenMatcher kept_;
};

}  // namespace runner
