#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace runner {

// A part of a text: bytes [begin, end).
struct TextRange {
  std::size_t begin = 0;
  std::size_t end = 0;
  friend bool operator==(const TextRange&, const TextRange&) = default;
};

// A regular expression as it stands in a tokenizer.json: Oniguruma's syntax, as far as PCRE2 has
// the same, with Unicode character classes. Immutable; may be used from several threads at once.
class Regex {
 public:
  // Throws Error(kBadModel) with the pattern, the place in it and what is wrong there.
  explicit Regex(const std::string& pattern);

  // Sets `ranges` to the matches that are not empty, in order and without overlap.
  // REQUIRES: is_valid_utf8(text). Throws Error(kBadModel) when matching takes more steps than
  // any sensible pattern does.
  void find_all(std::string_view text, std::vector<TextRange>& ranges) const;

 private:
  struct Code;  // hides pcre2.h
  std::shared_ptr<const Code> code_;
  std::string pattern_;
};

}  // namespace runner
