#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "runner/text/bpe_definition.h"
#include "runner/text/regex.h"

namespace runner {

// Finds added tokens in text: from left to right, at each place the longest. Immutable; may be
// used from several threads at once.
class AddedTokenMatcher {
 public:
  explicit AddedTokenMatcher(std::vector<AddedToken> tokens);

  struct Match {
    TokenId id = 0;
    TextRange range;  // with the white space that lstrip and rstrip take along
  };
  // The first match that starts at or after `from`. White space before `from` is not taken.
  // Special tokens that would take in a part of `outside` (ascending) are no match.
  std::optional<Match> find(std::string_view text, std::size_t from,
                            std::span<const TextRange> outside) const;

 private:
  const AddedToken* token_at(std::string_view text, std::size_t at,
                             std::span<const TextRange> outside) const;

  std::vector<AddedToken> tokens_;   // by first byte, then the longest first
  std::vector<std::size_t> starts_;  // [257] where each first byte's tokens start
};

}  // namespace runner
