#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace runner {

// A part of a prompt: a special token by name, or text, in which nothing is special.
struct PromptPart {
  bool is_token = false;
  std::string text;
  friend bool operator==(const PromptPart&, const PromptPart&) = default;
};

// The prompt as one text, special tokens spelled out: what a Jinja template would render.
std::string spelled_out(const std::vector<PromptPart>& parts);

// How a model wants conversations written down. Known today: ChatML
//   <|im_start|>ROLE\nTEXT<|im_end|>\n
// with an assistant turn left open at the end. Immutable.
class ChatTemplate {
 public:
  // Recognises a model's Jinja `chat_template` by what stands in it. Throws Error(kBadModel) when
  // it is not ChatML, or ChatML with things that would be written differently here.
  static ChatTemplate recognise(std::string_view jinja);

  // ChatML without a default system text.
  ChatTemplate() = default;

  // "chatml"
  std::string_view name() const { return "chatml"; }

  // The system text that the template puts there by itself; empty for none.
  const std::string& default_system() const { return default_system_; }

  // What stands before the first turn. With an empty `system` the default one; without that,
  // nothing.
  std::vector<PromptPart> head(std::string_view system) const;

  // A user turn up to the place where the answer begins. When `answer_before` an answer stands
  // before it, which the parts close first.
  std::vector<PromptPart> turn(std::string_view user, bool answer_before) const;

  // Special tokens that the parts name. An answer ends with end_token().
  std::string_view start_token() const { return "<|im_start|>"; }
  std::string_view end_token() const { return "<|im_end|>"; }

 private:
  std::string default_system_;
  std::string answer_start_ = "assistant\n";  // behind <|im_start|>
};

}  // namespace runner
