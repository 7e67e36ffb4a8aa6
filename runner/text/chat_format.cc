#include "runner/text/chat_format.h"

#include <algorithm>
#include <cstddef>

#include "runner/error.h"
#include "runner/text/jinja_builtins.h"

namespace runner {
namespace {

constexpr std::string_view kThinkBegin = "<think>";
constexpr std::string_view kThinkEnd = "</think>";

std::string_view trimmed(std::string_view text, bool trims) {
  return trims ? strip_text(text) : text;
}

}  // namespace

void ChatFormat::write_opening(std::string_view system_text, PromptText& text) const {
  if (system_text.empty() || system == System::kLeftOut) {
    text.add_own(before_user);
    return;
  }
  if (system == System::kRefused) {
    throw Error(ErrorCode::kBadOption, "the model's chat template does not take a system prompt");
  }
  text.add_own(before_system);
  text.add_outside(trimmed(system_text, trims_system));
  text.add_own(behind_system);
}

void ChatFormat::write_user(std::string_view user, PromptText& text) const {
  text.add_outside(trimmed(user, trims_user));
  text.add_own(before_answer);
}

void ChatFormat::write_past_turn(std::string_view user, std::string_view answer,
                                 PromptText& text) const {
  text.add_outside(trimmed(user, trims_user));
  text.add_own(before_past_answer);
  text.add_outside(past_answer(answer));
}

bool ChatFormat::rewrites(std::string_view answer) const {
  return before_past_answer != before_answer || past_answer(answer) != answer;
}

bool ChatFormat::thinks() const {
  const std::size_t begin = before_answer.rfind(kThinkBegin);
  const bool begins =
      begin != std::string::npos && before_answer.find(kThinkEnd, begin) == std::string::npos;
  return begins || past_thinking != Thinking::kKept;
}

std::string ChatFormat::past_answer(std::string_view answer) const {
  const std::size_t end = answer.rfind(kThinkEnd);
  if (past_thinking != Thinking::kKept && end != std::string_view::npos) {
    answer.remove_prefix(end + kThinkEnd.size());
    if (past_thinking == Thinking::kCutWithNewLines) {
      answer.remove_prefix(std::min(answer.find_first_not_of('\n'), answer.size()));
    }
  }
  return std::string(trimmed(answer, trims_answer));
}

}  // namespace runner
