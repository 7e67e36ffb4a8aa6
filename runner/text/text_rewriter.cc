#include "runner/text/text_rewriter.h"

#include <cstddef>

#include "runner/text/chars_map.h"
#include "runner/text/nfc.h"

namespace runner {
namespace {

std::string replace_all(std::string_view section, const ReplaceText& step) {
  std::string result;
  result.reserve(section.size());
  std::size_t at = 0;
  for (;;) {
    const std::size_t found = section.find(step.text, at);
    if (found == std::string_view::npos) break;
    result += section.substr(at, found - at);
    result += step.with;
    at = found + step.text.size();
  }
  return result += section.substr(at);
}

std::string collapse_spaces(std::string_view section) {
  std::string result;
  result.reserve(section.size());
  for (const char byte : section) {
    if (byte != ' ' || (!result.empty() && result.back() != ' ')) result += byte;
  }
  if (!result.empty() && result.back() == ' ') result.pop_back();
  return result;
}

struct Rewrite {
  std::string& text;
  bool is_first;

  void operator()(const ComposeNfc&) const { text = to_nfc(text); }
  void operator()(const ReplaceText& step) const { text = replace_all(text, step); }
  void operator()(const PrependText& step) const {
    if (text.empty() || (step.first_section_only && !is_first)) return;
    if (step.unless_there && text.starts_with(step.text)) return;
    text.insert(0, step.text);
  }
  void operator()(const ReplaceCharacters& step) const { text = step.map->rewrite(text); }
  void operator()(const CollapseSpaces&) const { text = collapse_spaces(text); }
};

}  // namespace

std::string TextRewriter::rewrite(std::string_view section, bool is_first) const {
  std::string text(section);
  for (const TextRewrite& step : steps_) std::visit(Rewrite{text, is_first}, step);
  return text;
}

}  // namespace runner
