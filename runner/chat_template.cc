#include "runner/chat_template.h"

#include <algorithm>
#include <cstddef>
#include <optional>

#include "runner/error.h"
#include "runner/excerpt.h"

namespace runner {
namespace {

constexpr std::string_view kStart = "<|im_start|>";
constexpr std::string_view kEnd = "<|im_end|>";

// A quoted string of a Jinja template, escapes resolved.
struct Literal {
  std::size_t offset;       // of the quote that opens it
  std::string_view before;  // the block it stands in, up to it
  std::string text;
};

[[noreturn]] void refuse(std::string_view jinja, const std::string& what) {
  throw Error(ErrorCode::kBadModel, "chat_template " + what +
                                        "; only ChatML (<|im_start|>ROLE … <|im_end|>) is "
                                        "supported. The template starts: " +
                                        excerpt(jinja, 120));
}

// Reads the string that opens at `at`, which is moved behind it.
std::string read_string(std::string_view jinja, std::size_t& at) {
  const char quote = jinja[at++];
  std::string text;
  for (; at < jinja.size() && jinja[at] != quote; ++at) {
    if (jinja[at] != '\\' || at + 1 == jinja.size()) {
      text += jinja[at];
      continue;
    }
    const char escaped = jinja[++at];
    switch (escaped) {
      case 'n':
        text += '\n';
        break;
      case 't':
        text += '\t';
        break;
      case 'r':
        text += '\r';
        break;
      case '\\':
      case '\'':
      case '"':
        text += escaped;
        break;
      default:
        (text += '\\') += escaped;
        break;
    }
  }
  ++at;
  return text;
}

// The strings within {{ … }} and {% … %}, in order.
std::vector<Literal> read_literals(std::string_view jinja) {
  std::vector<Literal> literals;
  for (std::size_t at = 0; at + 1 < jinja.size();) {
    const std::string_view opening = jinja.substr(at, 2);
    if (opening == "{#") {
      at = std::min(jinja.find("#}", at), jinja.size() - 2) + 2;
      continue;
    }
    if (opening != "{{" && opening != "{%") {
      ++at;
      continue;
    }
    const std::string_view closing = opening == "{{" ? "}}" : "%}";
    const std::size_t block = at;
    at += 2;
    while (at < jinja.size() && jinja.substr(at, 2) != closing) {
      if (jinja[at] != '\'' && jinja[at] != '"') {
        ++at;
        continue;
      }
      const std::size_t offset = at;
      literals.push_back({offset, jinja.substr(block, offset - block), read_string(jinja, at)});
    }
  }
  return literals;
}

// What stands behind <|im_start|> where an answer is to begin.
std::optional<std::string> find_answer_start(std::string_view jinja,
                                             const std::vector<Literal>& literals) {
  constexpr std::string_view kAssistant = "<|im_start|>assistant\n";
  const std::size_t asked = jinja.rfind("add_generation_prompt");
  for (const Literal& literal : literals) {
    if (asked != std::string_view::npos && literal.offset > asked &&
        literal.text.starts_with(kAssistant)) {
      return literal.text.substr(kStart.size());
    }
  }
  // Templates that open the answer with each user turn: '<|im_end|>\n<|im_start|>assistant\n'.
  for (const Literal& literal : literals) {
    if (asked == std::string_view::npos && literal.text.starts_with(kEnd) &&
        literal.text.ends_with(kAssistant)) {
      return std::string(kAssistant.substr(kStart.size()));
    }
  }
  return std::nullopt;
}

// The whole of a system turn in one string is the one written when the conversation has none;
// others set a variable for it: {% set system_message = '…' %}.
std::vector<std::string> find_default_systems(const std::vector<Literal>& literals) {
  constexpr std::string_view kOpening = "<|im_start|>system\n";
  constexpr std::string_view kClosing = "<|im_end|>\n";
  std::vector<std::string> texts;
  for (const Literal& literal : literals) {
    std::string_view text = literal.text;
    if (text.size() >= kOpening.size() + kClosing.size() && text.starts_with(kOpening) &&
        text.ends_with(kClosing)) {
      text.remove_prefix(kOpening.size());
      text.remove_suffix(kClosing.size());
    } else {
      const std::size_t set = literal.before.find("set ");
      const std::size_t equals = literal.before.find('=');
      const std::size_t system = literal.before.find("system");
      const bool is_set =
          set != std::string_view::npos && system != std::string_view::npos &&
          equals != std::string_view::npos && set < system && system < equals &&
          literal.before.find_first_not_of(" \t\r\n", equals + 1) == std::string_view::npos;
      if (!is_set || text.empty()) continue;
    }
    if (std::find(texts.begin(), texts.end(), text) == texts.end()) texts.emplace_back(text);
  }
  return texts;
}

bool has_word(std::string_view jinja, std::string_view word) {
  return jinja.find(word) != std::string_view::npos;
}

}  // namespace

std::string spelled_out(const std::vector<PromptPart>& parts) {
  std::string text;
  for (const PromptPart& part : parts) text += part.text;
  return text;
}

ChatTemplate ChatTemplate::recognise(std::string_view jinja) {
  const std::vector<Literal> literals = read_literals(jinja);
  const auto any = [&literals](std::string_view token) {
    return std::any_of(literals.begin(), literals.end(),
                       [token](const Literal& literal) { return has_word(literal.text, token); });
  };
  if (!any(kStart) || !any(kEnd)) refuse(jinja, "is not ChatML");
  for (const std::string_view word : {"bos_token", "| trim", "|trim", ".strip()"}) {
    if (has_word(jinja, word)) {
      refuse(jinja, "is ChatML with \"" + std::string(word) + "\", which is not supported");
    }
  }
  ChatTemplate result;
  const auto answer_start = find_answer_start(jinja, literals);
  if (!answer_start || has_word(*answer_start, "<|")) {
    refuse(jinja, "does not start answers with \"<|im_start|>assistant\" and a new line");
  }
  result.answer_start_ = *answer_start;

  const std::vector<std::string> systems = find_default_systems(literals);
  if (systems.size() > 1) {
    refuse(jinja, "has " + std::to_string(systems.size()) + " default system texts");
  }
  if (!systems.empty()) result.default_system_ = systems.front();
  if (has_word(result.default_system_, "<|")) {
    refuse(jinja, "has a default system text with special tokens in it");
  }
  return result;
}

std::vector<PromptPart> ChatTemplate::head(std::string_view system) const {
  if (system.empty()) system = default_system_;
  if (system.empty()) return {};
  return {{true, std::string(kStart)},
          {false, "system\n" + std::string(system)},
          {true, std::string(kEnd)},
          {false, "\n"}};
}

std::vector<PromptPart> ChatTemplate::turn(std::string_view user, bool answer_before) const {
  std::vector<PromptPart> parts;
  if (answer_before) parts = {{true, std::string(kEnd)}, {false, "\n"}};
  parts.insert(parts.end(), {{true, std::string(kStart)},
                             {false, "user\n" + std::string(user)},
                             {true, std::string(kEnd)},
                             {false, "\n"},
                             {true, std::string(kStart)},
                             {false, answer_start_}});
  return parts;
}

}  // namespace runner
