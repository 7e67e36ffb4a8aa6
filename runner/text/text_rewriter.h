#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace runner {

class CharsMap;

// Steps of a tokenizer's normalizer. A section is the text between two added tokens.
struct ComposeNfc {};
struct ReplaceText {
  std::string text;  // not empty
  std::string with;
};
// Not in front of an empty section.
struct PrependText {
  std::string text;
  bool first_section_only = false;
  bool unless_there = false;  // not where the section starts with it
};
// SentencePiece's table of replacements (chars_map.h).
struct ReplaceCharacters {
  std::shared_ptr<const CharsMap> map;
};
// Spaces side by side become one; those at the ends go.
struct CollapseSpaces {};

using TextRewrite =
    std::variant<ComposeNfc, ReplaceText, PrependText, ReplaceCharacters, CollapseSpaces>;

// Rewrites text step by step. Immutable; may be used from several threads at once.
class TextRewriter {
 public:
  explicit TextRewriter(std::vector<TextRewrite> steps) : steps_(std::move(steps)) {}

  bool empty() const { return steps_.empty(); }

  // `is_first`: the section stands at the start of the whole text.
  // REQUIRES: is_valid_utf8(section).
  std::string rewrite(std::string_view section, bool is_first) const;

 private:
  std::vector<TextRewrite> steps_;
};

}  // namespace runner
