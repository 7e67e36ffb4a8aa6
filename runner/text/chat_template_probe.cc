#include "runner/text/chat_template_probe.h"

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

#include "runner/error.h"
#include "runner/excerpt.h"
#include "runner/text/chat_families.h"

namespace runner {
namespace {

struct Message {
  std::string role;
  std::string text;
};
using Messages = std::vector<Message>;

// Texts that no template has in it.
constexpr std::string_view kSystemWord = "\x01s\x01";
constexpr std::string_view kUserWord = "\x01u\x01";
constexpr std::string_view kNextUserWord = "\x01v\x01";
constexpr std::string_view kAnswerWord = "\x01a\x01";
constexpr std::string_view kThoughtWord = "\x01t\x01";
// Around them white space that shows whether the template takes it away.
constexpr std::string_view kLeftSpace = " \t";
constexpr std::string_view kRightSpace = "\t ";

std::string padded(std::string_view word) {
  return std::string(kLeftSpace).append(word).append(kRightSpace);
}

struct Place {
  std::size_t begin;
  std::size_t end;
  bool trimmed;
};

std::optional<Place> locate(std::string_view text, std::string_view word, std::size_t from = 0) {
  const std::string whole = padded(word);
  if (const auto at = text.find(whole, from); at != std::string_view::npos) {
    return Place{at, at + whole.size(), false};
  }
  const auto at = text.find(word, from);
  if (at == std::string_view::npos) return std::nullopt;
  return Place{at, at + word.size(), true};
}

Place must_locate(std::string_view text, std::string_view word, const char* what,
                  std::size_t from = 0) {
  const auto place = locate(text, word, from);
  if (!place) fail_jinja(std::string("it leaves out ") + what);
  return *place;
}

class Prober {
 public:
  Prober(const JinjaTemplate& jinja, const ProbeSettings& settings)
      : jinja_(jinja), settings_(settings) {}

  ChatFormat probe() {
    find_user();
    find_system();
    find_past_turn();
    find_past_thinking();
    check();
    return format_;
  }

 private:
  std::string render(const Messages& messages) const {
    JinjaList list;
    for (const Message& message : messages) {
      list.emplace_back(JinjaDict{{"role", message.role}, {"content", message.text}});
    }
    JinjaDict variables{{"messages", std::move(list)},
                        {"add_generation_prompt", JinjaValue::of_bool(true)},
                        {"tools", JinjaValue::None{}},
                        {"documents", JinjaValue::None{}}};
    if (!settings_.bos_token.empty()) variables["bos_token"] = settings_.bos_token;
    if (!settings_.eos_token.empty()) variables["eos_token"] = settings_.eos_token;
    if (settings_.enable_thinking) {
      variables["enable_thinking"] = JinjaValue::of_bool(*settings_.enable_thinking);
    }
    variables["strftime_now"] = JinjaFunction([](const JinjaCall& call) -> JinjaValue {
      if (call.positional.size() != 1 || call.positional[0].text() == nullptr) {
        fail_jinja("strftime_now() without a format");
      }
      return kDateMark + *call.positional[0].text() + kDateMark;
    });
    return jinja_.render(std::move(variables));
  }

  void find_user() {
    const std::string text = render({{"user", padded(kUserWord)}});
    const Place user = must_locate(text, kUserWord, "what the user says");
    format_.before_user = text.substr(0, user.begin);
    format_.before_answer = text.substr(user.end);
    format_.trims_user = user.trimmed;
  }

  void find_system() {
    std::string text;
    try {
      text = render({{"system", padded(kSystemWord)}, {"user", padded(kUserWord)}});
    } catch (const JinjaRaised&) {
      format_.system = ChatFormat::System::kRefused;
      return;
    }
    const auto system = locate(text, kSystemWord);
    if (!system) {
      format_.system = ChatFormat::System::kLeftOut;
      return;
    }
    const Place user = must_locate(text, kUserWord, "what the user says", system->end);
    format_.before_system = text.substr(0, system->begin);
    format_.behind_system = text.substr(system->end, user.begin - system->end);
    format_.trims_system = system->trimmed;
  }

  // A rendering of user, `answer`, user, from behind the first text of the user on.
  std::string render_past(const std::string& answer) const {
    const std::string text = render(
        {{"user", padded(kUserWord)}, {"assistant", answer}, {"user", padded(kNextUserWord)}});
    return text.substr(must_locate(text, kUserWord, "earlier turns").end);
  }

  void find_past_turn() {
    const std::string text = render_past(padded(kAnswerWord));
    const Place answer = must_locate(text, kAnswerWord, "earlier answers");
    const Place user = must_locate(text, kNextUserWord, "what the user says last", answer.end);
    format_.before_past_answer = text.substr(0, answer.begin);
    format_.between_turns = text.substr(answer.end, user.begin - answer.end);
    format_.trims_answer = answer.trimmed;
  }

  void find_past_thinking() {
    const std::string behind = "\n\n ";
    const std::string text = render_past(
        std::string(kThoughtWord).append("</think>").append(behind).append(kAnswerWord));
    if (text.find(kThoughtWord) != std::string::npos) return;
    const Place answer = must_locate(text, kAnswerWord, "an answer behind thinking");
    const bool has_new_lines = text.substr(0, answer.begin).ends_with(behind);
    format_.past_thinking = has_new_lines || format_.trims_answer
                                ? ChatFormat::Thinking::kCut
                                : ChatFormat::Thinking::kCutWithNewLines;
  }

  void check() const {
    const std::vector<std::string> answers = {"yes",
                                              " \n ok\u3000\n",
                                              "<think>\nx\n</think>\n\ny ",
                                              "x</think>y</think>\n\n \nz",
                                              "\n<think>\nunfinished",
                                              "</think>"};
    const bool takes_system = format_.system != ChatFormat::System::kRefused;
    for (const std::string& system :
         {std::string(), std::string("Be\n kind. "), std::string(" ")}) {
      if (!system.empty() && !takes_system) continue;
      Messages all;
      if (!system.empty()) all.push_back({"system", system});
      for (const std::string& answer : answers) {
        Messages one = {{"user", "first"}, {"assistant", answer}, {"user", "\t second \n"}};
        if (!system.empty()) one.insert(one.begin(), {"system", system});
        check(one);
        all.push_back({"user", " \n"});
        all.push_back({"assistant", answer});
      }
      all.pop_back();
      check(all);
    }
  }

  void check(const Messages& messages) const {
    const std::string expected = render(messages);
    const std::string text = write(messages);
    if (text == expected) return;
    std::size_t at = 0;
    while (at < text.size() && at < expected.size() && text[at] == expected[at]) ++at;
    at -= std::min<std::size_t>(at, 10);
    fail_jinja("it writes \"" + excerpt(std::string_view(expected).substr(at), 30) +
               "\" where its other conversations lead to expect \"" +
               excerpt(std::string_view(text).substr(at), 30) + "\"");
  }

  std::string write(const Messages& messages) const {
    const bool has_system = messages.front().role == "system";
    PromptText text;
    format_.write_opening(has_system ? messages.front().text : "", text);
    for (std::size_t i = has_system ? 1 : 0; i < messages.size(); i += 2) {
      if (i + 1 == messages.size()) {
        format_.write_user(messages[i].text, text);
      } else {
        format_.write_past_turn(messages[i].text, messages[i + 1].text, text);
        format_.write_border(text);
      }
    }
    return text.text();
  }

  const JinjaTemplate& jinja_;
  const ProbeSettings& settings_;
  ChatFormat format_;
};

}  // namespace

ChatFormat probe_format(const JinjaTemplate& jinja, const ProbeSettings& settings) {
  return Prober(jinja, settings).probe();
}

}  // namespace runner
