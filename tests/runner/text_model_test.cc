#include "runner/text/text_model.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "tests/runner/expect_mentions.h"
#include "tests/runner/sentencepiece_data.h"
#include "tests/runner/text_data.h"

namespace runner {
namespace {

namespace fs = std::filesystem;
using text_data::bad_model;

// A folder of its own for each test, with a good tokenizer.json in it.
class TextModelTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::temp_directory_path() /
              (std::string("text_model_") + test->name() + "_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
    write("tokenizer.json", text_data::read("qwen2.tokenizer.json"));
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  TokenId token(const TextModel& model, std::string_view name) const {
    return model.tokenizer->find(name).value();
  }
  // The message, without the folder in it.
  std::string refusal() const {
    std::string text = bad_model([this] { load_text_model(folder_); });
    const std::string place = folder_.string();
    const std::size_t found = text.find(place);
    if (found != std::string::npos) text.erase(found, place.size());
    return text;
  }

  fs::path folder_;
};

TEST(TextModel, OpensTheDemoModel) {
  const TextModel model =
      load_text_model(fs::path(SOURCE_DIR) / "tools" / "demo_model" / "tiny-chat");
  EXPECT_EQ(model.tokenizer_kind, "byte-level BPE");
  EXPECT_EQ(model.template_name(), "chatml");
  EXPECT_FALSE(model.stop_tokens.empty());
  const auto encoder = model.new_prompt_encoder({});
  const auto ids = encoder->encode_turn("Hello!", "");
  const auto expected = model.tokenizer->encode(
      "<|im_start|>user\nHello!<|im_end|>\n<|im_start|>assistant\n", SpecialText::kTokens);
  EXPECT_EQ(ids, expected);
  EXPECT_TRUE(encoder->is_stop(model.tokenizer->find("<|im_end|>").value()));
}

TEST_F(TextModelTest, NeedsOnlyTheTokenizer) {
  const TextModel model = load_text_model(folder_);
  EXPECT_TRUE(model.stop_tokens.empty());
  EXPECT_TRUE(model.new_prompt_encoder({})->is_stop(token(model, "<|im_end|>")));
  EXPECT_FALSE(model.generation_config.enable_top_k_sampling.has_value());
  EXPECT_FALSE(model.generation_config.temperature.has_value());
}

TEST_F(TextModelTest, ReadsTheTemplateInAllItsPlaces) {
  const std::string system = "{{ '<|im_start|>system\\nNAME<|im_end|>\\n' }}";
  const std::string rest =
      "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}"
      "{% endfor %}{{ '<|im_start|>assistant\\n' }}";
  const auto default_system = [this] {
    const auto chat = load_text_model(folder_).chat_template;
    const std::string text = chat ? chat->format(std::nullopt, {}).before_user : "";
    const auto at = text.find("system\n");
    return at == std::string::npos ? text : text.substr(at + 7, text.find("<|im_end|>") - at - 7);
  };
  const auto jinja = [&](const std::string& name) {
    std::string text = system + rest;
    text.replace(text.find("NAME"), 4, name);
    return text;
  };
  const auto json = [](const std::string& text) {
    std::string escaped = "\"";
    for (const char byte : text) (byte == '\\' ? escaped += "\\\\" : escaped += byte);
    return escaped + "\"";
  };
  write("tokenizer_config.json", R"({"chat_template": )" + json(jinja("one")) + "}");
  EXPECT_EQ(default_system(), "one");
  write("tokenizer_config.json", R"({"chat_template": [{"name": "tool_use", "template": "x"},
        {"name": "default", "template": )" +
                                     json(jinja("two")) + "}]}");
  EXPECT_EQ(default_system(), "two");
  write("chat_template.jinja", jinja("three"));
  EXPECT_EQ(default_system(), "three");
}

TEST_F(TextModelTest, CollectsStopTokens) {
  write("tokenizer_config.json", R"({"eos_token": {"content": "<|endoftext|>", "lstrip": false}})");
  write("generation_config.json", R"({"eos_token_id": [7, 5, 7]})");
  const TextModel model = load_text_model(folder_);
  EXPECT_EQ(model.stop_tokens, (std::vector<TokenId>{5, 7, token(model, "<|endoftext|>")}));
  const auto encoder = model.new_prompt_encoder({});
  for (const TokenId id : {5, 7, token(model, "<|endoftext|>"), token(model, "<|im_end|>")}) {
    EXPECT_TRUE(encoder->is_stop(id)) << id;
  }
  write("tokenizer_config.json", R"({"eos_token": "<|endoftext|>"})");
  write("generation_config.json", R"({"eos_token_id": 3})");
  EXPECT_EQ(load_text_model(folder_).stop_tokens.front(), 3);
}

TEST_F(TextModelTest, TakesNumbersBeyond64Bits) {
  // In text, digits stay as they are.
  const std::string end = "<|12345678901234567890|>";
  std::string tokenizer = text_data::read("qwen2.tokenizer.json");
  tokenizer.replace(tokenizer.find("<|endoftext|>"), 13, end);
  write("tokenizer.json", tokenizer);
  for (const std::string number :
       {"1000000000000000019884624838656", "-1000000000000000019884624838656",
        "1000000000000000019884624838656.5", "1000000000000000019884624838656e-3", "7 "}) {
    write("tokenizer_config.json", R"({"a\"": [)" + number + "], \"b\": " + number +
                                       R"(, "eos_token": ")" + end + "\", \"c\":" + number + "}");
    const TextModel model = load_text_model(folder_);
    EXPECT_EQ(model.stop_tokens.front(), token(model, end)) << number;
  }
}

TEST_F(TextModelTest, SamplingDefaultsMeanWhatHuggingFaceMeans) {
  const auto params = [this](const std::string& json) {
    write("generation_config.json", json);
    return load_text_model(folder_).generation_config;
  };
  for (const char* json : {"{}", R"({"do_sample": false, "temperature": 0.7, "top_k": 20})"}) {
    const ModeParams greedy = params(json);
    EXPECT_EQ(greedy.enable_temperature, false);
    EXPECT_EQ(greedy.enable_top_k_sampling, false);
    EXPECT_EQ(greedy.enable_top_p_sampling, false);
    EXPECT_EQ(greedy.enable_repetition_penalty, false);
  }
  const ModeParams all = params(
      R"({"do_sample": true, "temperature": 0.6, "top_k": 20, "top_p": 0.8,
          "repetition_penalty": 1.5})");
  EXPECT_EQ(all.enable_temperature, true);
  EXPECT_EQ(all.temperature, 0.6);
  EXPECT_EQ(all.enable_top_k_sampling, true);
  EXPECT_EQ(all.top_k, 20);
  EXPECT_EQ(all.enable_top_p_sampling, true);
  EXPECT_EQ(all.top_p, 0.8);
  EXPECT_EQ(all.enable_repetition_penalty, true);
  EXPECT_EQ(all.repetition_penalty, 2.25);
  const ModeParams bare = params(R"({"do_sample": true})");
  EXPECT_EQ(bare.temperature, 1.0);
  EXPECT_EQ(bare.top_k, 50);
  EXPECT_EQ(bare.enable_top_p_sampling, false);
  const ModeParams everything = params(R"({"do_sample": true, "top_k": 0})");
  EXPECT_EQ(everything.enable_top_k_sampling, false);
  EXPECT_EQ(everything.enable_top_p_sampling, true);
  EXPECT_EQ(everything.top_p, 1.0);
}

TEST_F(TextModelTest, SaysWhichFileIsWrong) {
  write("generation_config.json", "{");
  EXPECT_NE(refusal().find("/generation_config.json: is not a JSON object: "), std::string::npos);
  write("generation_config.json", R"({"eos_token_id": "x"})");
  EXPECT_EQ(refusal(),
            "/generation_config.json: eos_token_id is neither a token id nor a list of them");
  write("generation_config.json", R"({"do_sample": true, "top_p": 2})");
  EXPECT_NE(refusal().find("/generation_config.json: "), std::string::npos);
  write("generation_config.json", "{}");
  write("tokenizer_config.json", R"({"eos_token": 7})");
  EXPECT_EQ(refusal(),
            "/tokenizer_config.json: eos_token is neither a string nor an object with \"content\"");
  write("tokenizer_config.json", R"({"chat_template": [{"name": "rag", "template": "x"}]})");
  EXPECT_EQ(refusal(),
            "/tokenizer_config.json: chat_template is a list without one named \"default\"");
  write("tokenizer_config.json", "{}");
  write("tokenizer.json", R"({"model": {"type": "WordLevel"}})");
  EXPECT_EQ(refusal(), "/tokenizer.json: model \"WordLevel\" is not supported; supported: BPE");
}

TEST_F(TextModelTest, RecognisesGitLfsPointers) {
  const std::string pointer =
      "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 11422654\n";
  write("tokenizer.json", pointer);
  EXPECT_NE(
      refusal().find("/tokenizer.json: is a Git LFS pointer, not the file; run `git lfs pull`"),
      std::string::npos);
}

TEST_F(TextModelTest, SaysThatTheTokenizerIsMissing) {
  fs::remove(folder_ / "tokenizer.json");
  try {
    load_text_model(folder_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_EQ(std::string(error.what()), (folder_ / "tokenizer.json").string() + ": is not there");
  }
}

TEST_F(TextModelTest, NeedsTheTokensOfTheTemplate) {
  std::string json = text_data::read("qwen2.tokenizer.json");
  for (std::size_t at; (at = json.find("<|im_end|>")) != std::string::npos;) {
    json.replace(at, 10, "<|im_fin|>");
  }
  write("tokenizer.json", json);
  const TextModel model = load_text_model(folder_);
  const std::string reason = bad_model([&model] { model.new_prompt_encoder({}); });
  EXPECT_EQ(model.template_name(), reason);
  expect_mentions(reason, {folder_.string() + ": has no chat template, and the tokenizer no token "
                                              "<|im_end|> to go on with chatml",
                           "chat_template_family in mode_param"});
}

TEST_F(TextModelTest, ATaskMaySayWhatStandsInForATemplateThatCannotBeFollowed) {
  write("tokenizer_config.json", R"({"chat_template": "{{ '[INST]' }}"})");
  const TextModel model = load_text_model(folder_);
  expect_mentions(bad_model([&model] { model.new_prompt_encoder({}); }),
                  {folder_.string() + ": the chat_template cannot be followed", "[INST]",
                   "chat_template_family in mode_param"});
  PromptOptions options;
  options.template_family = "chatml";
  EXPECT_EQ(
      model.new_prompt_encoder(options)->encode_turn("x", "y"),
      model.tokenizer->encode("<|im_end|>\n<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n",
                              SpecialText::kTokens));
  options.template_family = "llama3";
  expect_mentions(bad_model([&] { model.new_prompt_encoder(options); }), {"<|eot_id|>"});
  options.template_family = "gpt9";
  EXPECT_THROW(model.new_prompt_encoder(options), Error);
}

TEST_F(TextModelTest, GivesTheTemplateTheTokensOfTheTokenizer) {
  const char* config = R"({"bos_token": "<|endoftext|>", "eos_token": {"content": "<|im_end|>"},
      "chat_template": "{{ bos_token }}{% for m in messages %}{{ m.role + ':' + m.content + eos_token }}{% endfor %}"})";
  write("tokenizer_config.json", config);
  const TextModel model = load_text_model(folder_);
  const auto encoder = model.new_prompt_encoder({});
  auto ids = encoder->begin("S");
  for (const TokenId id : encoder->encode_turn("U", "")) ids.push_back(id);
  EXPECT_EQ(ids, model.tokenizer->encode("<|endoftext|>system:S<|im_end|>user:U<|im_end|>",
                                         SpecialText::kTokens));
}

TEST_F(TextModelTest, ABosThatTheTokenizerDoesNotHaveIsAnError) {
  PromptOptions options;
  options.adds_bos = true;
  try {
    load_text_model(folder_).new_prompt_encoder(options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadOption);
    EXPECT_STREQ(error.what(), "b_bos is true, but the tokenizer has no such token");
  }
  write("tokenizer_config.json", R"({"bos_token": "<|endoftext|>"})");
  const TextModel model = load_text_model(folder_);
  EXPECT_EQ(model.new_prompt_encoder(options)->begin(""),
            std::vector<TokenId>{token(model, "<|endoftext|>")});
}

TEST_F(TextModelTest, WithoutEosInGenerationConfigThatOfConfigCounts) {
  write("config.json", R"({"eos_token_id": [3, 4]})");
  EXPECT_EQ(load_text_model(folder_).stop_tokens, (std::vector<TokenId>{3, 4}));
  write("generation_config.json", R"({"eos_token_id": 5})");
  EXPECT_EQ(load_text_model(folder_).stop_tokens, (std::vector<TokenId>{5}));
}

// What encoders make of system text and turn is spelled out again, so that a space shows where the
// tokenizer puts one.
std::string prompt_of(const TextModel& model, const std::string& system) {
  PromptOptions options;
  options.system = system;
  const auto encoder = model.new_prompt_encoder(options);
  auto ids = encoder->begin(system);
  for (const TokenId id : encoder->encode_turn("ab", "")) ids.push_back(id);
  std::string text;
  for (const TokenId id : ids) text += model.tokenizer->spelling(id);
  return text;
}

// StackFlow's types that are a file; where no template is, the type says how to write a turn.
TEST_F(TextModelTest, OpensStackFlowsTokenizerFiles) {
  using namespace sentencepiece_data;
  std::vector<Message> pieces = {piece("<unk>", 0, kUnknown), piece("<s>", 0, kControl),
                                 piece("</s>", 0, kControl), piece("\u2581", -1, kNormal)};
  for (const char* text : {"<用户>", "<AI>"}) pieces.push_back(piece(text, 0, kUserDefined));
  for (const char* text :
       {"a", "b", "\n", "<", ">", "|", "e", "i", "m", "n", "r", "s", "t", "u", "y"}) {
    pieces.push_back(piece(text, -2, kNormal));
  }
  write("t.model", model(pieces));
  write("q.tiktoken", text_data::read("small.tiktoken"));
  const auto open = [this](int type, const std::string& file) {
    return load_stackflow_text_model(folder_, type, file);
  };

  const TextModel tiny = open(0, "t.model");
  EXPECT_EQ(tiny.template_name(), "tinyllama");
  EXPECT_EQ(tiny.stop_tokens, std::vector<TokenId>{2});
  EXPECT_EQ(prompt_of(tiny, "a"), " <|system|>\na</s> \n<|user|>\nab</s> \n<|assistant|>\n");
  PromptOptions options;
  options.adds_bos = true;
  EXPECT_EQ(tiny.render_prompt(options, "ab"), "<s><|user|>\nab</s>\n<|assistant|>\n");

  const TextModel phi = open(3, "t.model");
  EXPECT_EQ(phi.template_name(), "phi3");
  EXPECT_EQ(prompt_of(phi, ""), "<|user|> ab<|end|><|assistant|>");

  const TextModel mini = open(4, "t.model");
  EXPECT_EQ(mini.template_name(), "minicpm");
  EXPECT_EQ(prompt_of(mini, ""), " <用户>ab<AI>");

  const TextModel qwen = open(1, "q.tiktoken");
  EXPECT_EQ(qwen.template_name(), "chatml");
  EXPECT_EQ(prompt_of(qwen, ""), "<|im_start|>user\nab<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(qwen.stop_tokens, std::vector<TokenId>{qwen.tokenizer->find("<|endoftext|>").value()});
}

TEST_F(TextModelTest, OpensTheFolderBesideStackFlowsService) {
  for (const int type : {2, 5}) {
    try {
      load_stackflow_text_model(folder_, type, "http://localhost:8080");
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kNotBuilt);
      expect_mentions(error.what(),
                      {"tokenizer/tokenizer.json is missing",
                       "tokenizer_type " + std::to_string(type), "http://localhost:8080"});
    }
  }
  fs::create_directory(folder_ / "tokenizer");
  write("tokenizer/tokenizer.json", text_data::read("qwen2.tokenizer.json"));
  for (const int type : {2, 5}) {
    EXPECT_EQ(load_stackflow_text_model(folder_, type, "").template_name(), "chatml");
  }
}

TEST_F(TextModelTest, FilesAreBounded) {
  write("big", std::string(100, 'x'));
  EXPECT_EQ(read_text_file(folder_ / "big", 100).size(), 100U);
  EXPECT_NE(
      bad_model([this] { read_text_file(folder_ / "big", 99); }).find("has more than 99 bytes"),
      std::string::npos);
  EXPECT_NE(bad_model([this] { read_text_file(folder_); }).find("is a folder"), std::string::npos);
}

}  // namespace
}  // namespace runner
