#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "runner/text/regex.h"

namespace runner {

// One `Split` of a tokenizer.json (https://huggingface.co/docs/tokenizers/api/pre-tokenizers).
// The pattern's matches and the text between them become pieces, as `behavior` says.
struct SplitRule {
  enum class Behavior {
    kRemoved,             // matches are left out
    kIsolated,            // matches and the text between are pieces
    kMergedWithPrevious,  // a match belongs to the piece before it
    kMergedWithNext,      // a match belongs to the piece after it
    kContiguous,          // like kIsolated, matches side by side are one piece
  };
  std::string pattern;  // regular expression
  Behavior behavior = Behavior::kIsolated;
  bool invert = false;  // what does not match counts as match
};

// A regular expression that matches `text` itself.
std::string literal_pattern(std::string_view text);

// Cuts text into the pieces that BPE merges never cross. Immutable; may be used from several
// threads at once.
class Pretokenizer {
 public:
  // The rules work one after the other, each on the pieces of the one before. Throws
  // Error(kBadModel) when a pattern is wrong.
  explicit Pretokenizer(const std::vector<SplitRule>& rules);

  // Sets `pieces` to the parts of `text`, none of them empty; they point into it.
  // REQUIRES: is_valid_utf8(text). Throws what Regex::find_all() throws.
  void split(std::string_view text, std::vector<std::string_view>& pieces) const;

 private:
  struct Step {
    Regex regex;
    SplitRule::Behavior behavior;
    bool invert;
  };
  std::vector<Step> steps_;
};

}  // namespace runner
