#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runner/text/regex.h"

namespace runner {

// A text made of the program's own parts, in which special tokens mean what they mean, and of
// parts from outside, in which none is ever recognised, nor one that they would complete.
class PromptText {
 public:
  void add_own(std::string_view text) { text_ += text; }
  // Invalid UTF-8 becomes U+FFFD.
  void add_outside(std::string_view text);

  const std::string& text() const { return text_; }
  // The parts from outside, ascending, none of them empty.
  std::span<const TextRange> outside() const { return outside_; }

 private:
  std::string text_;
  std::vector<TextRange> outside_;
};

}  // namespace runner
