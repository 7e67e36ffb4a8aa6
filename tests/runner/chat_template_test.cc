#include "runner/chat_template.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/runner/text_data.h"

namespace runner {
namespace {

using text_data::bad_model;

constexpr const char* kPlain =
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

// system, then user and assistant in turn. Answers are what the model wrote: not of the template.
std::string render(const ChatTemplate& chat, const std::vector<std::string>& conversation) {
  std::string text = spelled_out(chat.head(conversation[0]));
  for (std::size_t i = 1; i < conversation.size(); i += 2) {
    text += spelled_out(chat.turn(conversation[i], i > 1));
    if (i + 1 < conversation.size()) text += conversation[i + 1];
  }
  return text;
}

TEST(ChatTemplate, WritesWhatJinjaRenders) {
  simdjson::dom::parser parser;
  const simdjson::padded_string json(text_data::read("templates.json"));
  int cases = 0;
  for (const auto entry : simdjson::dom::array(parser.parse(json))) {
    const std::string_view name = entry["name"];
    const auto chat = ChatTemplate::recognise(std::string_view(entry["template"]));
    for (const auto one : simdjson::dom::array(entry["cases"])) {
      std::vector<std::string> conversation;
      for (const auto text : simdjson::dom::array(one["conversation"])) {
        conversation.emplace_back(std::string_view(text));
      }
      // A thinking model's earlier answers are written without their opening; that is for models
      // whose templates say so.
      if (name == "answers start with thinking" && conversation.size() > 2) continue;
      EXPECT_EQ(render(chat, conversation), std::string_view(one["rendered"])) << name;
      ++cases;
    }
  }
  EXPECT_GT(cases, 30);
}

TEST(ChatTemplate, FindsTheDefaultSystemText) {
  EXPECT_EQ(ChatTemplate::recognise(kPlain).default_system(), "");
  EXPECT_TRUE(ChatTemplate::recognise(kPlain).head("").empty());
  const std::string with_default =
      std::string(
          "{% if not system %}{{ '<|im_start|>system\\nBe \\'kind\\'.<|im_end|>\\n' }}"
          "{% endif %}") +
      kPlain;
  const auto chat = ChatTemplate::recognise(with_default);
  EXPECT_EQ(chat.default_system(), "Be 'kind'.");
  EXPECT_EQ(spelled_out(chat.head("")), "<|im_start|>system\nBe 'kind'.<|im_end|>\n");
  EXPECT_EQ(spelled_out(chat.head("x")), "<|im_start|>system\nx<|im_end|>\n");
}

TEST(ChatTemplate, KeepsTokensApartFromText) {
  const std::vector<PromptPart> parts = ChatTemplate().turn("<|im_end|>", true);
  const std::vector<PromptPart> expected{
      {true, "<|im_end|>"}, {false, "\n"}, {true, "<|im_start|>"}, {false, "user\n<|im_end|>"},
      {true, "<|im_end|>"}, {false, "\n"}, {true, "<|im_start|>"}, {false, "assistant\n"}};
  EXPECT_EQ(parts, expected);
}

TEST(ChatTemplate, RefusesWhatItWouldWriteDifferently) {
  const auto refusal = [](const std::string& jinja) {
    return bad_model([&jinja] { ChatTemplate::recognise(jinja); });
  };
  const std::string plain = kPlain;
  EXPECT_NE(refusal("{{ '[INST] ' + messages[0].content + ' [/INST]' }}").find("is not ChatML"),
            std::string::npos);
  EXPECT_NE(refusal("").find("is not ChatML"), std::string::npos);
  EXPECT_NE(refusal("{{ bos_token }}" + plain).find("bos_token"), std::string::npos);
  std::string trimmed = plain;
  trimmed.replace(trimmed.find("m.content"), 9, "m.content | trim");
  EXPECT_NE(refusal(trimmed).find("| trim"), std::string::npos);
  std::string other_answer = plain;
  other_answer.replace(other_answer.find("assistant"), 9, "bot");
  EXPECT_NE(refusal(other_answer).find("does not start answers"), std::string::npos);
  std::string separator = plain;
  separator.replace(separator.find("assistant\\n"), 11, "assistant<|im_sep|>");
  EXPECT_NE(refusal(separator).find("does not start answers"), std::string::npos);
  EXPECT_NE(refusal("{{ '<|im_start|>system\\nA<|im_end|>\\n' }}"
                    "{{ '<|im_start|>system\\nB<|im_end|>\\n' }}" +
                    plain)
                .find("2 default system texts"),
            std::string::npos);
}

TEST(ChatTemplate, SurvivesBrokenTemplates) {
  const std::string plain = kPlain;
  for (std::size_t length = 0; length < plain.size(); ++length) {
    bad_model([&] { ChatTemplate::recognise(plain.substr(0, length)); });
  }
  for (const char* jinja :
       {"{", "{{", "{#", "{{ '", "{{ '\\", "{% \"", "{{ '<|im_start|>", "{#}"}) {
    EXPECT_NE(bad_model([&] { ChatTemplate::recognise(jinja); }), "no Error");
  }
}

}  // namespace
}  // namespace runner
