#include "runner/text/prompt_text.h"

#include "runner/text/utf8_stream.h"

namespace runner {

void PromptText::add_outside(std::string_view text) {
  if (text.empty()) return;
  const std::size_t begin = text_.size();
  if (is_valid_utf8(text)) {
    text_ += text;
  } else {
    text_ += to_valid_utf8(text);
  }
  outside_.push_back({begin, text_.size()});
}

}  // namespace runner
