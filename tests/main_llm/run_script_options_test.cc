#include "main_llm/run_script_options.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "runner/error.h"

namespace main_llm {
namespace {

namespace fs = std::filesystem;

constexpr const char* kUrl = "http://localhost:12345";

// A folder with the files that a run script names.
class RunScriptOptionsTest : public testing::Test {
 protected:
  RunScriptOptionsTest() {
    for (const char* name : {"l0.axmodel", "l1.axmodel", "post.axmodel", "embed.bin", "t.model"}) {
      write(std::string("graphs/") + name);
    }
    script_.layers = path("graphs/l%d.axmodel");
    script_.layer_count = 2;
    script_.post = path("graphs/post.axmodel");
    script_.embeddings = path("graphs/embed.bin");
    script_.embedding_rows = 1000;
    script_.embedding_values = 16;
    script_.tokenizer = path("graphs/t.model");
  }
  ~RunScriptOptionsTest() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  void write(const std::string& name, const std::string& text = "") const {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
  }

  // What describing the model of `script` says is wrong.
  static std::string error_of(const RunScriptOptions& script) {
    try {
      describe_model(script);
    } catch (const runner::Error& error) {
      return error.what();
    }
    return "no Error";
  }

  RunScriptOptions with_tokenizer(int type, const std::string& name) const {
    RunScriptOptions script = script_;
    script.tokenizer_type = type;
    script.tokenizer = name;
    return script;
  }

  // Of this test alone: others may run at the same time.
  const fs::path folder_ =
      fs::path(testing::TempDir()) /
      (std::string("run_script_") + testing::UnitTest::GetInstance()->current_test_info()->name());
  RunScriptOptions script_;
};

TEST_F(RunScriptOptionsTest, DescribeAModelFileByFile) {
  script_.load_layers_on_demand = true;
  const DescribedModel model = describe_model(script_);
  EXPECT_EQ(model.name, "graphs");
  ASSERT_EQ(model.npu.graphs.layers.size(), 2U);
  EXPECT_EQ(model.npu.graphs.layers[1], path("graphs/l1.axmodel"));
  EXPECT_EQ(model.npu.graphs.post, path("graphs/post.axmodel"));
  EXPECT_EQ(model.npu.graphs.vocab, 1000);
  EXPECT_EQ(model.npu.graphs.hidden, 16);
  EXPECT_TRUE(model.npu.graphs.load_layers_on_demand);
  EXPECT_EQ(model.npu.embeddings, path("graphs/embed.bin"));
  EXPECT_EQ(model.npu.tokenizer_type, 0);
  EXPECT_EQ(model.npu.tokenizer, path("graphs/t.model"));
  EXPECT_EQ(model.text_folder, "");
}

TEST_F(RunScriptOptionsTest, WhatIsWrongIsNamedByItsOption) {
  const auto changed = [this](std::string RunScriptOptions::*field, const std::string& value) {
    RunScriptOptions script = script_;
    script.*field = value;
    return error_of(script);
  };
  EXPECT_EQ(changed(&RunScriptOptions::layers, "l.axmodel"),
            "--template_filename_axmodel is \"l.axmodel\", expected a %d for the number of the "
            "layer");
  const std::string missing = "there is no file \"" + path("none");
  EXPECT_EQ(changed(&RunScriptOptions::layers, path("none%d"))
                .find("--template_filename_axmodel: " + missing + "0\""),
            0U);
  EXPECT_EQ(
      changed(&RunScriptOptions::post, path("none")).find("--filename_post_axmodel: " + missing),
      0U);
  EXPECT_EQ(changed(&RunScriptOptions::embeddings, path("none"))
                .find("--filename_tokens_embed: " + missing),
            0U);
  EXPECT_EQ(changed(&RunScriptOptions::tokenizer, path("none"))
                .find("--filename_tokenizer_model: " + missing),
            0U);
  script_.layer_count = 3;
  EXPECT_NE(error_of(script_).find("l2.axmodel"), std::string::npos);
}

TEST_F(RunScriptOptionsTest, ATokenizerIsAFileOrForType2AFolderOrAService) {
  write("tok/tokenizer.json");
  for (const char* name : {"tok", "tok/tokenizer.json"}) {
    EXPECT_EQ(describe_model(with_tokenizer(2, path(name))).text_folder, path("tok"));
  }
  EXPECT_EQ(error_of(with_tokenizer(2, path("graphs"))),
            "--filename_tokenizer_model is \"" + path("graphs") +
                "\", expected with --tokenizer_type 2 a folder with a tokenizer.json, or a "
                "service's URL");
  for (const int type : {0, 1, 3, 4}) {
    EXPECT_EQ(error_of(with_tokenizer(type, kUrl)),
              std::string("--filename_tokenizer_model is \"") + kUrl +
                  "\", expected a file with --tokenizer_type " + std::to_string(type));
  }
  RunScriptOptions script = with_tokenizer(2, "");
  script.tokenizer_url = "none";
  EXPECT_EQ(error_of(script).find("--url_tokenizer_model is \"none\", expected "), 0U);
  script_.tokenizer_type = 1;
  script_.tokenizer_url = kUrl;
  EXPECT_EQ(error_of(script_), std::string("--url_tokenizer_model is \"") + kUrl +
                                   "\", expected only with --tokenizer_type 2");
}

TEST_F(RunScriptOptionsTest, ATokenizerBesideTheGraphsComesBeforeAService) {
  RunScriptOptions script = with_tokenizer(2, kUrl);
  EXPECT_EQ(describe_model(script).text_folder, "");
  EXPECT_EQ(describe_model(script).npu.tokenizer, kUrl);
  EXPECT_FALSE(describe_model(script).npu.tokenizer_keeps_conversation);
  write("graphs/tokenizer/tokenizer.json");
  EXPECT_EQ(describe_model(script).text_folder, path("graphs/tokenizer"));
  script.tokenizer.clear();  // and the option of newer runners, where the type goes without saying
  script.tokenizer_type.reset();
  script.tokenizer_url = kUrl;
  EXPECT_EQ(describe_model(script).text_folder, path("graphs/tokenizer"));
  EXPECT_EQ(describe_model(script).npu.tokenizer_type, 2);
  EXPECT_TRUE(describe_model(script).npu.tokenizer_keeps_conversation);
}

TEST_F(RunScriptOptionsTest, SentencePieceTextsBeginWithItsFirstToken) {
  const auto bos = [this](int type) { return run_script_params(with_tokenizer(type, "")).b_bos; };
  for (const int type : {0, 3, 4}) EXPECT_EQ(bos(type), true);
  for (const int type : {1, 2}) EXPECT_EQ(bos(type), std::nullopt);
  script_.bos = false;
  EXPECT_EQ(bos(0), false);
  EXPECT_EQ(run_script_params({}).b_bos, std::nullopt);
}

TEST_F(RunScriptOptionsTest, SamplersAreThoseOfThePostConfig) {
  write("post.json", R"({"enable_top_k_sampling": true, "top_k": 3, "penalty_window": 20})");
  script_.post_config = path("post.json");
  const runner::ModeParams params = run_script_params(script_);
  EXPECT_EQ(params.enable_top_k_sampling, true);
  EXPECT_EQ(params.top_k, 3);
  EXPECT_EQ(params.penalty_window, 20);
  EXPECT_EQ(params.temperature, std::nullopt);
}

TEST_F(RunScriptOptionsTest, AWrongPostConfigIsNamed) {
  const auto says = [this] {
    try {
      run_script_params(script_);
    } catch (const runner::Error& error) {
      return std::string(error.what());
    }
    return std::string("no Error");
  };
  script_.post_config = path("post.json");
  EXPECT_EQ(says().find("--post_config_path: there is no file \"" + path("post.json")), 0U);
  write("post.json", R"({"top_k": "3"})");
  EXPECT_EQ(says(), path("post.json") + ": \"top_k\" is \"3\", expected an integer");
  write("post.json", "[]");
  EXPECT_EQ(says(), path("post.json") + ": the settings are not a JSON object");
}

}  // namespace
}  // namespace main_llm
