#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runner/text/chat_format.h"

namespace runner {

// How a model wants conversations written down, in all its settings. Immutable.
class ChatTemplate {
 public:
  using Time = std::chrono::system_clock::time_point;

  // Follows a model's Jinja `chat_template` (chat_template_probe.h), as transformers renders it
  // without tools. The tokens are those of tokenizer_config.json, empty where it has none. Throws
  // Error(kBadModel) when the template does something that cannot be followed, naming that, how the
  // template starts, and what may stand in its place.
  static ChatTemplate recognise(std::string_view jinja, std::string_view bos_token = {},
                                std::string_view eos_token = {});

  // One of names(). Throws Error(kBadOption) naming them for another.
  static ChatTemplate of_family(std::string_view name, std::string_view eos_token = {});

  // "chatml", "qwen3", …: what the key `chat_template_family` may be.
  static std::vector<std::string> names();

  // For error messages: what to do without a template that can be followed.
  static std::string way_out();

  // The family whose turns are written like this, whatever stands before the first one, or else
  // "custom".
  const std::string& name() const { return name_; }

  // A token that a tokenizer for this family must have; empty for none.
  const std::string& needed_token() const { return needed_token_; }

  // With `enable_thinking` as transformers knows it, unset for the template's own way. Where the
  // template writes the date, it is the local one at `now`, in English. A time before 26 Jul 2024,
  // as on a module that was not told it, counts as that day, with which Llama 3's templates do
  // without a clock.
  // Throws Error(kBadOption) for what the template cannot do: stop a model from thinking that
  // always does, or make one think where it says nothing of thinking.
  ChatFormat format(std::optional<bool> enable_thinking, Time now) const;

 private:
  enum Switch { kUnset, kOn, kOff, kSwitches };
  using Formats = std::array<ChatFormat, kSwitches>;

  void name_after_family(std::string_view eos_token);

  std::string name_ = "custom";
  std::string needed_token_;
  Formats formats_;  // with dates marked
};

// A conversation as one text, special tokens spelled out: what the model's Jinja template renders
// for it. `turns`: user, answer, user, … ending with a user.
std::string render_conversation(const ChatFormat& format, std::string_view system,
                                const std::vector<std::string>& turns);

}  // namespace runner
