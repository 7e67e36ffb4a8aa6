#pragma once

#include <optional>
#include <string>

#include "runner/text/chat_format.h"
#include "runner/text/jinja.h"

namespace runner {

// What transformers' apply_chat_template gives a template besides the conversation.
struct ProbeSettings {
  std::string bos_token;  // empty: none
  std::string eos_token;
  std::optional<bool> enable_thinking;
};

// The format that a template writes conversations in: found by rendering conversations with marked
// texts and looking where these went, then checked against renderings of others (with and without
// system text, several turns, white space, thinking). Throws Error(kBadModel) where the template
// does what no ChatFormat does. Where it writes the date, kDateMark stands around the form of it.
// One thing is not looked for: templates that take a user text
// between <tool_response> tags for no turn of its own.
ChatFormat probe_format(const JinjaTemplate& jinja, const ProbeSettings& settings);

}  // namespace runner
