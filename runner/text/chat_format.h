#pragma once

#include <string>
#include <string_view>

#include "runner/text/prompt_text.h"

namespace runner {

// How a model wants conversations written down:
//   opening, user text, before_answer, ANSWER, between_turns, user text, before_answer, ANSWER …
// where the opening is before_user, or before_system, system text, behind_system. Texts of a
// conversation are parts from outside, all else is the format's own.
struct ChatFormat {
  enum class System {
    kWritten,
    kLeftOut,  // a system text is not written anywhere
    kRefused,  // the model's template does not take one
  };
  // What becomes of an answer's thinking once another turn follows.
  enum class Thinking {
    kKept,
    kCut,              // all up to the last "</think>" goes
    kCutWithNewLines,  // and new lines behind that
  };

  std::string before_user;  // the opening without a system text
  std::string before_system;
  std::string behind_system;
  std::string before_answer;       // behind a user text, where an answer is to begin
  std::string before_past_answer;  // the same where the answer stands there already
  std::string between_turns;       // begins with what ends an answer
  System system = System::kWritten;
  Thinking past_thinking = Thinking::kKept;
  // White space at both ends of a text goes, as Python's strip() sees it.
  bool trims_system = false;
  bool trims_user = false;
  bool trims_answer = false;

  friend bool operator==(const ChatFormat&, const ChatFormat&) = default;

  // What stands before the first user text; an empty `system_text` is none. Throws
  // Error(kBadOption) for a system text where the format takes none.
  void write_opening(std::string_view system_text, PromptText& text) const;
  // A user text, up to where its answer begins.
  void write_user(std::string_view user, PromptText& text) const;
  // The same and the answer, as later turns find them.
  void write_past_turn(std::string_view user, std::string_view answer, PromptText& text) const;
  // What stands between an answer and the next user text.
  void write_border(PromptText& text) const { text.add_own(between_turns); }

  // Whether later turns find the answer otherwise than it was generated.
  bool rewrites(std::string_view answer) const;
  // True where answers begin with thinking, or may.
  bool thinks() const;

 private:
  std::string past_answer(std::string_view answer) const;
};

}  // namespace runner
