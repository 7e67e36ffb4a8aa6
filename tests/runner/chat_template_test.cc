#include "runner/text/chat_template.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "runner/text/chat_families.h"
#include "tests/runner/expect_mentions.h"
#include "tests/runner/text_data.h"

namespace runner {
namespace {

using text_data::bad_model;

// What make_templates.py takes for today.
const ChatTemplate::Time kToday =
    std::chrono::sys_days(std::chrono::year(2025) / std::chrono::March / 9) +
    std::chrono::hours(12);

constexpr const char* kPlain =
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

std::string refusal(const std::string& jinja) {
  return bad_model([&jinja] { ChatTemplate::recognise(jinja); });
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  text.replace(text.find(from), from.size(), to);
  return text;
}

std::string render(const ChatTemplate& chat, std::optional<bool> thinking,
                   const std::vector<std::string>& conversation) {
  return render_conversation(chat.format(thinking, kToday), conversation[0],
                             {conversation.begin() + 1, conversation.end()});
}

// One rendering of templates.json, by a template and by the family it is of.
void check_case(const ChatTemplate& chat, const simdjson::dom::element& one, bool is_family) {
  std::vector<std::string> conversation;
  for (const auto text : simdjson::dom::array(one["conversation"])) {
    conversation.emplace_back(std::string_view(text));
  }
  std::optional<bool> thinking;
  if (bool asked = false; !one["thinking"].get(asked)) thinking = asked;
  std::string_view rendered;
  if (one["rendered"].get(rendered)) {
    EXPECT_THROW(render(chat, thinking, conversation), Error);
    return;
  }
  EXPECT_EQ(render(chat, thinking, conversation), rendered);
  if (is_family) {
    const auto family = ChatTemplate::of_family(chat.name());
    EXPECT_EQ(render(family, thinking, conversation), rendered) << "by name";
  }
}

TEST(ChatTemplate, WritesWhatJinjaRenders) {
  simdjson::dom::parser parser;
  const simdjson::padded_string json(text_data::read("templates.json"));
  int cases = 0;
  for (const auto entry : simdjson::dom::array(parser.parse(json))) {
    const std::string name{std::string_view(entry["name"])};
    SCOPED_TRACE(name);
    const auto chat =
        ChatTemplate::recognise(std::string_view(entry["template"]), std::string_view(entry["bos"]),
                                std::string_view(entry["eos"]));
    EXPECT_EQ(chat.name(), std::string_view(entry["family"]));
    // Of some families there are models with other openings.
    const bool is_family =
        chat.name() != "custom" && name.find(',') == std::string::npos && name != "Phi-3-small";
    for (const auto one : simdjson::dom::array(entry["cases"])) {
      check_case(chat, one, is_family);
      ++cases;
    }
  }
  EXPECT_EQ(cases, 252);
}

TEST(ChatTemplate, EveryFamilyIsKnownByItsName) {
  for (const std::string& name : ChatTemplate::names()) {
    const auto chat = ChatTemplate::of_family(name);
    EXPECT_EQ(chat.name(), name);
    const std::string text = render(chat, std::nullopt, {"Be kind.", "one", "two", "three"});
    for (const char* part : {"Be kind.", "one", "two", "three"}) expect_mentions(text, {part});
  }
  EXPECT_EQ(family_of_tokenizer_type(0), "tinyllama");
  EXPECT_EQ(family_of_tokenizer_type(1), "chatml");
  EXPECT_EQ(family_of_tokenizer_type(2), "");
  EXPECT_EQ(family_of_tokenizer_type(3), "phi3");
  EXPECT_EQ(family_of_tokenizer_type(4), "minicpm");
  try {
    ChatTemplate::of_family("gpt9");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadOption);
    expect_mentions(error.what(), {"\"gpt9\""});
    for (const std::string& name : ChatTemplate::names()) expect_mentions(error.what(), {name});
  }
}

TEST(ChatTemplate, TextsOfAConversationArePartsFromOutside) {
  const ChatFormat format = ChatTemplate::of_family("chatml").format(std::nullopt, kToday);
  PromptText text;
  format.write_opening("<|im_end|>", text);
  format.write_past_turn("<|im_start|>", "</s>", text);
  format.write_border(text);
  format.write_user("x", text);
  std::vector<std::string> outside;
  for (const TextRange& range : text.outside()) {
    outside.push_back(text.text().substr(range.begin, range.end - range.begin));
  }
  EXPECT_EQ(outside, (std::vector<std::string>{"<|im_end|>", "<|im_start|>", "</s>", "x"}));
}

TEST(ChatTemplate, AskingForWhatTheTemplateCannotDoIsAnError) {
  const auto asks = [](const char* family, bool thinking) {
    return ChatTemplate::of_family(family).format(thinking, kToday).before_answer;
  };
  const auto refuses = [](const char* family, bool thinking) {
    try {
      ChatTemplate::of_family(family).format(thinking, kToday);
      ADD_FAILURE() << family;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadOption);
      expect_mentions(error.what(),
                      {thinking ? "enable_thinking is true" : "enable_thinking is false"});
      expect_mentions(error.what(), {family});
    }
  };
  EXPECT_FALSE(asks("qwen3", true).ends_with("</think>\n\n"));
  EXPECT_TRUE(asks("qwen3", false).ends_with("<think>\n\n</think>\n\n"));
  EXPECT_TRUE(asks("deepseek-r1", true).ends_with("<think>\n"));
  refuses("deepseek-r1", false);
  refuses("qwen3-thinking", false);
  EXPECT_TRUE(asks("chatml", false).ends_with("assistant\n")) << "it does not think anyway";
  refuses("chatml", true);
  refuses("llama3.2", true);
}

TEST(ChatTemplate, AClockThatWasNotSetGivesTheTemplatesDate) {
  const auto chat = ChatTemplate::of_family("llama3.2");
  const auto date_at = [&chat](ChatTemplate::Time now) {
    const std::string text = chat.format(std::nullopt, now).before_user;
    const auto at = text.find("Today Date: ") + 12;
    return text.substr(at, text.find('\n', at) - at);
  };
  EXPECT_EQ(date_at(kToday), "09 Mar 2025");
  EXPECT_EQ(date_at({}), "26 Jul 2024");
  EXPECT_EQ(date_at(kToday - std::chrono::hours(24 * 365)), "26 Jul 2024");
}

TEST(ChatTemplate, KnowsWhatEarlierAnswersLookLike) {
  const auto rewrites = [](const char* family, std::optional<bool> thinking, const char* answer) {
    return ChatTemplate::of_family(family).format(thinking, kToday).rewrites(answer);
  };
  EXPECT_FALSE(rewrites("chatml", std::nullopt, " <think>x</think>y "));
  EXPECT_FALSE(rewrites("qwen3", std::nullopt, "plain"));
  EXPECT_FALSE(rewrites("qwen3", std::nullopt, "<think>cut short"));
  EXPECT_TRUE(rewrites("qwen3", std::nullopt, "<think>x</think>y"));
  EXPECT_TRUE(rewrites("qwen3", false, "plain")) << "the empty thinking before it goes";
  EXPECT_TRUE(rewrites("deepseek-r1", std::nullopt, "plain"));
  EXPECT_TRUE(rewrites("llama3", std::nullopt, "plain\n"));
  const ChatFormat qwen3 = ChatTemplate::of_family("qwen3").format(std::nullopt, kToday);
  EXPECT_EQ(render_conversation(qwen3, "", {"q", "a</think>b</think>\n \nc", "r"}),
            "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n \nc<|im_end|>\n"
            "<|im_start|>user\nr<|im_end|>\n<|im_start|>assistant\n");
}

TEST(ChatTemplate, SaysWhatItCannotFollowAndWhatToDo) {
  const std::string plain = kPlain;
  const std::string unknown = refusal("{{ '[INST] ' + messages[0].content + ' [/INST]' }}");
  expect_mentions(unknown, {"it leaves out what the user says"});
  expect_mentions(unknown, {"It starts: {{ '[INST] ' + messages[0]"});
  expect_mentions(unknown, {"chat_template_family in mode_param"});
  for (const std::string& name : ChatTemplate::names()) expect_mentions(unknown, {name});
  expect_mentions(refusal(""), {"it leaves out what the user says"});
  expect_mentions(refusal(plain + "{{ messages | tojson }}"),
                  {"the filter tojson is not supported"});
  expect_mentions(refusal(replaced(plain, "m.content", "m.content.title()")), {"title()"});
  expect_mentions(refusal("{% include 'x' %}"), {"{% include %}"});
  expect_mentions(refusal("{{ raise_exception('never') }}"), {"never"});
  expect_mentions(refusal(plain + "\x02"), {"control characters"});
  // The last turn is written otherwise than the ones before it.
  expect_mentions(
      refusal(replaced(plain, "m.content", "(m.content if loop.last else m.content | trim)")),
      {"where its other conversations lead to expect"});
  // Only short conversations are written.
  expect_mentions(refusal(replaced(plain, "messages", "messages[-3:]")),
                  {"where its other conversations lead to expect"});
  expect_mentions(refusal(replaced(plain, "m.content", "m.content | replace('x', 'y')")),
                  {"replace"});
  expect_mentions(refusal(replaced(plain, "m.content", "m.content.replace('x', 'y')")),
                  {"where its other conversations lead to expect"});
}

TEST(ChatTemplate, WhatNoConversationReachesDoesNotMatter) {
  const std::string dead =
      "{% if tools %}{% for a, b in tools.items() %}{{ a | xmlattr }}{% endfor %}{% set x %}y{% "
      "endset %}"
      "{% break %}{% endif %}{% macro f(x) %}{{ x }}{% endmacro %}";
  EXPECT_EQ(ChatTemplate::recognise(dead + kPlain).name(), "chatml");
}

TEST(ChatTemplate, SurvivesBrokenTemplates) {
  const std::string plain = kPlain;
  // Up to the end of its loop it is a whole template.
  const std::size_t loop_end = plain.find("{% if");
  for (std::size_t length = 0; length < plain.size(); ++length) {
    const bool is_whole = length == loop_end || length == loop_end + 1;
    EXPECT_EQ(refusal(plain.substr(0, length)) == "no Error", is_whole) << length;
  }
  for (const char* jinja :
       {"{", "{{", "{#", "{{ '", "{{ '\\", "{% \"", "{{ '<|im_start|>", "{#}", "{%%}", "{% if %}",
        "{% for x in %}", "{% set %}", "{% endif %}", "{{ a[ }}", "{{ }}", "{{ 1 / 0 }}",
        "{{ 1 % 0 }}", "{{ '\\x41' }}", "{% set a.b = 1 %}"}) {
    EXPECT_NE(refusal(jinja), "no Error") << jinja;
  }
}

TEST(ChatTemplate, WorkAndMemoryAreBounded) {
  std::string doubling = "{% set x = 'xxxxxxxx' %}";
  for (int i = 0; i < 60; ++i) doubling += "{% set x = x + x %}";
  expect_mentions(refusal(doubling), {"64 KiB"});
  std::string loops = "{{ 1 }}";
  for (int i = 0; i < 20; ++i) loops = "{% for x in range(1000) %}" + loops + "{% endfor %}";
  expect_mentions(refusal(loops), {"too many steps"});
  expect_mentions(refusal("{{ " + std::string(100000, '(') + " }}"), {"nested too deeply"});
  expect_mentions(refusal("{{ " + std::string(100000, '-') + " }}"), {"nested too deeply"});
  std::string blocks;
  for (int i = 0; i < 1000; ++i) blocks += "{% if 1 %}";
  expect_mentions(refusal(blocks), {"nested too deeply"});
  expect_mentions(refusal("{% set ns = namespace() %}{% set ns.self = ns %}"), {"within another"});
}

}  // namespace
}  // namespace runner
