#include "runner/text/tokenizer_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/runner/sentencepiece_data.h"
#include "tests/runner/text_data.h"

namespace runner {
namespace {

namespace fs = std::filesystem;
using namespace sentencepiece_data;
using text_data::bad_model;

class TokenizerFile : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::temp_directory_path() /
              (std::string("tokenizer_file_") + test->name() + "_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path write(const std::string& name, const std::string& bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return folder_ / name;
  }

  fs::path folder_;
};

std::string three_piece_model() {
  return model({piece("<unk>", 0, kUnknown), piece("</s>", 0, kControl),
                piece("\u2581", -1, kNormal), piece("a", -2, kNormal)});
}

TEST_F(TokenizerFile, IsReadByItsKind) {
  const auto json = load_tokenizer(write("any.json", text_data::read("qwen2.tokenizer.json")));
  EXPECT_EQ(json->kind(), "byte-level BPE");
  EXPECT_FALSE(json->end_of_text());
  const auto tiktoken = load_tokenizer(write("any.tiktoken", text_data::read("small.tiktoken")));
  EXPECT_EQ(tiktoken->kind(), "byte-level BPE");
  EXPECT_EQ(tiktoken->end_of_text(), tiktoken->find("<|endoftext|>"));
  const auto pieces = load_tokenizer(write("any.model", three_piece_model()));
  EXPECT_EQ(pieces->kind(), "SentencePiece BPE");
  EXPECT_EQ(pieces->end_of_text(), 1);
}

TEST_F(TokenizerFile, ErrorsBeginWithThePath) {
  const std::string begin = folder_.string() + "/";
  const auto refusal = [this](const std::string& name, const std::string& bytes) {
    return bad_model([&] { load_tokenizer(write(name, bytes)); });
  };
  EXPECT_TRUE(refusal("tokenizer.json", "[]").starts_with(begin + "tokenizer.json: is not a JSON"));
  EXPECT_TRUE(refusal("q.tiktoken", "x").starts_with(begin + "q.tiktoken: tiktoken file: line 1"));
  EXPECT_TRUE(refusal("t.model", "x").starts_with(begin + "t.model: SentencePiece model: "));
  EXPECT_EQ(refusal("t.model", "version https://git-lfs.github.com/spec/v1\n"),
            begin +
                "t.model: is a Git LFS pointer, not the file; run `git lfs pull` where it came "
                "from");
}

TEST_F(TokenizerFile, APhi3ModelHasTheMarksOfItsChat) {
  const fs::path file = write("tokenizer.model", three_piece_model());
  const auto tokenizer = load_phi3_tokenizer(file);
  // Marks take the new line behind them along, as HuggingFace's.
  EXPECT_EQ(tokenizer->encode("<|user|>\na<|end|>\n<|assistant|>\n", SpecialText::kTokens),
            (std::vector<TokenId>{32010, 2, 3, 32007, 32001}));
  EXPECT_FALSE(load_tokenizer(file)->find("<|user|>"));
}

TEST_F(TokenizerFile, OfAFolderIsTheFirstThatIsThere) {
  EXPECT_EQ(find_tokenizer_file(folder_), folder_ / "tokenizer.json");
  write("qwen.tiktoken", "");
  EXPECT_EQ(find_tokenizer_file(folder_), folder_ / "qwen.tiktoken");
  write("tokenizer.model", "");
  EXPECT_EQ(find_tokenizer_file(folder_), folder_ / "tokenizer.model");
  write("tokenizer.json", "");
  EXPECT_EQ(find_tokenizer_file(folder_), folder_ / "tokenizer.json");
}

}  // namespace
}  // namespace runner
