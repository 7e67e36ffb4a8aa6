#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "runner/regex.h"
#include "runner/tokenizer_json.h"

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
  std::optional<Match> find(std::string_view text, std::size_t from) const;

  bool empty() const { return tokens_.empty(); }

 private:
  std::vector<AddedToken> tokens_;   // by first byte, then the longest first
  std::vector<std::size_t> starts_;  // [257] where each first byte's tokens start
};

}  // namespace runner
