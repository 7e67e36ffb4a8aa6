#include "runner/text/pretokenizer.h"

#include <algorithm>
#include <utility>

namespace runner {
namespace {

// A part of the text that the pattern matched, or one between two such parts.
struct Part {
  TextRange range;
  bool is_match;
};

void list_parts(std::size_t text_bytes, const std::vector<TextRange>& matches, bool invert,
                std::vector<Part>& parts) {
  parts.clear();
  std::size_t at = 0;
  for (const TextRange& match : matches) {
    if (at < match.begin) parts.push_back({{at, match.begin}, invert});
    parts.push_back({match, !invert});
    at = match.end;
  }
  if (at < text_bytes) parts.push_back({{at, text_bytes}, invert});
}

// True when `part` belongs to the piece before it; `previous` is the part there.
bool joins_previous(const Part& previous, const Part& part, SplitRule::Behavior behavior) {
  switch (behavior) {
    case SplitRule::Behavior::kMergedWithPrevious:
      return part.is_match && !previous.is_match;
    case SplitRule::Behavior::kMergedWithNext:
      return previous.is_match && !part.is_match;
    case SplitRule::Behavior::kContiguous:
      return previous.is_match == part.is_match;
    case SplitRule::Behavior::kRemoved:
    case SplitRule::Behavior::kIsolated:
      return false;
  }
  return false;
}

void append_pieces(std::string_view text, const std::vector<Part>& parts,
                   SplitRule::Behavior behavior, std::vector<std::string_view>& pieces) {
  for (std::size_t i = 0; i < parts.size();) {
    TextRange range = parts[i].range;
    const bool removed = behavior == SplitRule::Behavior::kRemoved && parts[i].is_match;
    for (++i; i < parts.size() && joins_previous(parts[i - 1], parts[i], behavior); ++i) {
      range.end = parts[i].range.end;
    }
    if (!removed) pieces.push_back(text.substr(range.begin, range.end - range.begin));
  }
}

}  // namespace

std::string literal_pattern(std::string_view text) {
  std::string pattern;
  for (const char byte : text) {
    const bool is_ascii_symbol = byte > ' ' && byte < 0x7F && !(byte >= '0' && byte <= '9') &&
                                 !(byte >= 'A' && byte <= 'Z') && !(byte >= 'a' && byte <= 'z');
    if (is_ascii_symbol) pattern += '\\';
    pattern += byte;
  }
  return pattern;
}

Pretokenizer::Pretokenizer(const std::vector<SplitRule>& rules) {
  for (const SplitRule& rule : rules) {
    steps_.push_back({Regex(rule.pattern), rule.behavior, rule.invert});
  }
}

void Pretokenizer::split(std::string_view text, std::vector<std::string_view>& pieces) const {
  pieces.clear();
  if (!text.empty()) pieces.push_back(text);
  std::vector<TextRange> matches;
  std::vector<Part> parts;
  std::vector<std::string_view> results;
  for (const Step& step : steps_) {
    results.clear();
    for (const std::string_view piece : pieces) {
      step.regex.find_all(piece, matches);
      list_parts(piece.size(), matches, step.invert, parts);
      append_pieces(piece, parts, step.behavior, results);
    }
    std::swap(pieces, results);
  }
}

}  // namespace runner
