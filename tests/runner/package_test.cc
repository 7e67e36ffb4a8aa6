// The planner and what it does, over folders that look like those people have: of text files in
// place of graphs, because nothing here opens one.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "runner/bf16.h"
#include "runner/error.h"
#include "runner/file_check.h"
#include "runner/model_directory.h"
#include "runner/npu/npu_description.h"
#include "runner/package/plan.h"
#include "tests/runner/expect_mentions.h"
#include "tests/runner/random_model.h"

namespace runner {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLfsPointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\n";
constexpr int kRows = 700;
constexpr int kHidden = 8;

std::string read_all(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// What every test starts with: the output of pulsar2 for a model of four layers.
class PackageTest : public ::testing::Test {
 protected:
  PackageTest() {
    for (int layer = 0; layer < 4; ++layer) write_graph(layer_name(layer));
    write_graph("qwen2_post.axmodel");
    write("built/model.embed_tokens.weight.bfloat16.bin", encode(values(), "BF16"));
    write("built/tokenizer/tokenizer.json", read_all(TEST_DATA_DIR "/text/qwen2.tokenizer.json"));
    write("built/config.json", kConfig);
    options_.wanted.source = root_ / "built";
    options_.name = "m";
  }

  static std::string layer_name(int layer) {
    return "qwen2_p128_l" + std::to_string(layer) + "_together.axmodel";
  }
  void write(const std::string& name, const std::string& text) {
    fs::create_directories((root_ / name).parent_path());
    write_file(root_ / name, text);
  }
  void write_graph(const std::string& name) {
    write("built/" + name, std::string(100, 'g') + name);
  }
  void remove(const std::string& name) { fs::remove_all(root_ / name); }
  void rename(const std::string& from, const std::string& to) {
    fs::create_directories((root_ / to).parent_path());
    fs::rename(root_ / from, root_ / to);
  }

  static std::vector<float> values() {
    std::vector<float> values(kRows * kHidden);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) / 1024;
    return values;
  }

  PackagePlan plan() const { return plan_package(options_); }
  std::string problems() const {
    std::string all;
    for (const std::string& problem : plan().problems) all += problem + "\n";
    return all;
  }
  // Does it, and reads the result as the program does.
  NpuDescription package() const {
    const PackagePlan made = plan();
    EXPECT_EQ(problems(), "");
    carry_out(made, {});
    const ModelLocation found = find_model(options_.name, {made.directory.parent_path()});
    EXPECT_TRUE(found.mode_json);
    const NpuDescription description = read_npu_description(
        found.directory, read_mode_file(*found.mode_json).json, *found.mode_json);
    EXPECT_TRUE(file_problems(description.graphs.layers, "layers").empty());
    EXPECT_TRUE(file_problems({description.graphs.post}, "").empty());
    map_embeddings(description.embeddings, description.graphs.vocab, description.graphs.hidden);
    return description;
  }

  static constexpr const char* kConfig =
      R"({"num_hidden_layers":4,"vocab_size":700,"hidden_size":8,"model_type":"qwen2"})";
  const TemporaryDirectory root_;
  PackageOptions options_;
};

TEST(AxmodelNames, AreGroupedByFamily) {
  const auto families = axmodel_layers(
      {"qwen2_p128_l0_together.axmodel", "qwen2_p128_l10_together.axmodel", "qwen2_post.axmodel",
       "tinyllama_l3.axmodel", "l0.axmodel", "vl8b_vision.axmodel", "a b_l0.axmodel",
       "x_l%d.axmodel", "x_l07.axmodel", "x_l7b.axmodel", "x_l99999.axmodel", "readme_l1.txt"});
  ASSERT_EQ(families.size(), 3U);
  EXPECT_EQ(families[0].pattern, "l%d.axmodel");
  EXPECT_EQ(families[1].pattern, "qwen2_p128_l%d_together.axmodel");
  EXPECT_EQ(families[1].layers, (std::set<int>{0, 10}));
  EXPECT_EQ(families[1].prefill, 128);
  EXPECT_EQ(families[1].name_of(10), "qwen2_p128_l10_together.axmodel");
  EXPECT_EQ(families[2].pattern, "tinyllama_l%d.axmodel");
  EXPECT_EQ(families[2].prefill, 0);
}

TEST_F(PackageTest, APulsar2FolderIsLinked) {
  const NpuDescription model = package();
  EXPECT_EQ(model.graphs.layers.size(), 4U);
  EXPECT_EQ(model.graphs.vocab, kRows);
  EXPECT_EQ(model.graphs.hidden, kHidden);
  EXPECT_EQ(model.tokenizer_type, 2);
  EXPECT_TRUE(fs::is_symlink(model.graphs.post));
  EXPECT_TRUE(fs::exists(root_ / "m" / "tokenizer" / "tokenizer.json"));
}

TEST_F(PackageTest, PlanningChangesNothing) {
  EXPECT_EQ(problems(), "");
  EXPECT_FALSE(fs::exists(root_ / "m"));
}

TEST_F(PackageTest, InItsPlaceNothingButTheDescriptionIsMissing) {
  rename("built", "m");
  options_.wanted.source = root_ / "m";
  const PackagePlan made = plan();
  ASSERT_EQ(made.steps.size(), 1U);
  EXPECT_EQ(made.steps[0].to, root_ / "m" / "mode_m.json");
  package();
}

TEST_F(PackageTest, CopiesStandByThemselves) {
  options_.copy = true;
  options_.output = root_ / "elsewhere";
  double done = 0;
  carry_out(plan(), [&done](double fraction) {
    EXPECT_GE(fraction, done);
    done = fraction;
  });
  EXPECT_EQ(done, 1);
  const std::string graph = read_all(root_ / "built" / layer_name(2));
  remove("built");
  EXPECT_EQ(read_all(root_ / "elsewhere" / "m" / layer_name(2)), graph);
}

TEST_F(PackageTest, Float32IsRoundedToNearestEven) {
  std::string raw = encode(values(), "F32");
  // Half way between two bf16 values: to the even one, down and up.
  const std::vector<float> halves = {1 + 0x1p-8F, 1 + 3 * 0x1p-8F};
  raw.replace(0, 8, encode(halves, "F32"));
  remove("built/model.embed_tokens.weight.bfloat16.bin");
  write("built/model.embed_tokens.weight.float32.bin", raw);
  const NpuDescription model = package();
  EXPECT_EQ(model.embeddings.filename(), "model.embed_tokens.weight.bfloat16.bin");
  const std::string made = read_all(model.embeddings);
  EXPECT_EQ(made.substr(0, 4), encode({1, 1 + 0x1p-6F}, "BF16"));
  EXPECT_EQ(made.substr(4), encode(values(), "BF16").substr(4));
}

TEST_F(PackageTest, ANpyIsConvertedAndTellsItsSizes) {
  remove("built/model.embed_tokens.weight.bfloat16.bin");
  remove("built/config.json");
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (700, 8), }";
  header.resize(117, ' ');
  write("built/model.embed_tokens.weight.npy",
        std::string("\x93NUMPY\x01\0\x76\0", 10) + header + "\n" + encode(values(), "F32"));
  const NpuDescription model = package();
  EXPECT_EQ(model.graphs.hidden, kHidden);
  EXPECT_EQ(read_all(model.embeddings), encode(values(), "BF16"));
}

TEST_F(PackageTest, ACloneFromHuggingFace) {
  rename("built", "clone/qwen2.5-ax650");
  rename("clone/qwen2.5-ax650/tokenizer", "clone/qwen2.5_tokenizer");
  remove("clone/qwen2.5-ax650/config.json");
  write("clone/config.json", "{}");
  write("clone/run_ax650.sh",
        "./main_ax650 \\\n--axmodel_num 4 \\\n--tokens_embed_num 700 \\\n"
        "--tokens_embed_size \"8\" \\\n--prompt \"$1\"\n");
  write("clone/post_config.json", R"({"enable_top_k_sampling":true,"top_k":20,"temperature":0.9})");
  options_.wanted.source = root_ / "clone";
  package();
  const ModeFile mode = read_mode_file(root_ / "m" / "mode_m.json");
  EXPECT_EQ(mode.params.top_k, 20);
  EXPECT_EQ(mode.params.temperature, 0.9);
  EXPECT_EQ(mode.params.enable_top_k_sampling, true);
  EXPECT_FALSE(mode.params.enable_temperature);

  fs::create_directories(root_ / "clone" / "qwen2.5-ax630c");
  fs::copy_file(root_ / "clone/qwen2.5-ax650" / layer_name(0),
                root_ / "clone/qwen2.5-ax630c" / layer_name(0));
  expect_mentions(problems(), {"several folders", "qwen2.5-ax630c, qwen2.5-ax650"});
}

TEST_F(PackageTest, OneOfSeveralTokenizersIsToBeChosen) {
  rename("built/tokenizer", "built/a_tokenizer");
  write("built/b_tokenizer/tokenizer.json", read_all(TEST_DATA_DIR "/text/qwen2.tokenizer.json"));
  expect_mentions(problems(), {"a_tokenizer and ", "b_tokenizer", "--tokenizer"});
  options_.wanted.tokenizer = root_ / "built" / "b_tokenizer";
  EXPECT_EQ(plan().parts.tokenizer, root_ / "built" / "b_tokenizer" / "tokenizer.json");
  EXPECT_EQ(problems(), "");
}

TEST_F(PackageTest, ABrokenTableThatIsNotNeededDoesNoHarm) {
  write("built/model.embed_tokens.weight.npy", kLfsPointer);
  EXPECT_EQ(problems(), "");
  remove("built/model.embed_tokens.weight.bfloat16.bin");
  expect_mentions(problems(), {".npy: is a Git LFS pointer"});
}

TEST_F(PackageTest, GitLfsPointersAreNamed) {
  for (int layer = 0; layer < 4; ++layer) write("built/" + layer_name(layer), kLfsPointer);
  write("built/model.embed_tokens.weight.bfloat16.bin", kLfsPointer);
  write("built/tokenizer/tokenizer.json", kLfsPointer);
  expect_mentions(problems(), {"4 of 4 layers are Git LFS pointers", layer_name(0), "and 1 more",
                               "git lfs pull", "bfloat16.bin: is a Git LFS pointer",
                               "tokenizer.json: is a Git LFS pointer"});
  EXPECT_TRUE(plan().steps.empty());
}

TEST_F(PackageTest, AHalfCopiedFolderIsToldInFull) {
  remove("built/" + layer_name(1));
  remove("built/" + layer_name(3));
  write_graph("qwen2_post.axmodel");
  write("built/qwen2_post.axmodel", "");
  write("built/model.embed_tokens.weight.bfloat16.bin", std::string(1000, 'x'));
  remove("built/tokenizer");
  expect_mentions(problems(), {"2 of 4 layers missing: " + layer_name(1) + ", " + layer_name(3),
                               "qwen2_post.axmodel: has less than 64 bytes",
                               "has 500 values, expected 700 rows of 8, by ", "config.json",
                               "no tokenizer.json", "--tokenizer"});
}

TEST_F(PackageTest, WhatIsNotClearIsAsked) {
  remove("built/config.json");
  expect_mentions(problems(), {"5600 values", "--hidden"});
  options_.wanted.hidden = kHidden;
  EXPECT_EQ(problems(), "");
  write_graph("qwen3_p64_l0.axmodel");
  expect_mentions(problems(), {"several models", "qwen3_p64_l%d.axmodel"});
  options_.wanted.source = root_ / "built" / "tokenizer";
  expect_mentions(problems(), {"qwen2_p128_l0_together.axmodel"});
}

TEST_F(PackageTest, LayersBeyondTheConfigAreAnotherModels) {
  write_graph(layer_name(4));
  expect_mentions(problems(), {"up to number 4, expected 4 layers, by ", "config.json"});
}

TEST_F(PackageTest, TheTokenizerMustFitTheEmbeddings) {
  write("built/config.json", R"({"hidden_size":16,"vocab_size":350})");
  expect_mentions(problems(), {"tokenizer.json", "ids up to", "only 350 rows"});
}

TEST_F(PackageTest, OtherTokenizersHaveStackFlowsTypes) {
  remove("built/tokenizer");
  write("built/tokenizer.model", std::string(100, 's'));
  EXPECT_EQ(plan().parts.tokenizer_type, 0);
  write("built/config.json", R"({"hidden_size":8,"model_type":"phi3"})");
  EXPECT_EQ(plan().parts.tokenizer_type, 3);
  write("built/config.json", R"({"hidden_size":8,"model_type":"minicpm"})");
  const NpuDescription model = package();
  EXPECT_EQ(model.tokenizer_type, 4);
  EXPECT_EQ(model.tokenizer, "tokenizer.model");
  options_.force = true;
  remove("built/tokenizer.model");
  write("built/qwen.tiktoken", std::string(100, 't'));
  write("built/tokenizer_config.json", "{}");
  EXPECT_EQ(package().tokenizer, "qwen.tiktoken");
  EXPECT_TRUE(fs::exists(root_ / "m" / "tokenizer_config.json"));
}

TEST_F(PackageTest, ADescriptionIsReplacedOnlyWhenTold) {
  write("models/mode_m.json", R"({"mode_param":{"top_k":1}})");
  fs::create_directories(root_ / "m");
  expect_mentions(problems(), {"models/mode_m.json", "already", "--force"});
  options_.force = true;
  package();
  // One that would be found first is the one to replace.
  fs::rename(root_ / "m" / "mode_m.json", root_ / "m" / "m.json");
  EXPECT_EQ(plan().steps.back().to, root_ / "m" / "m.json");
}

TEST_F(PackageTest, GoesOnWhereItWasInterrupted) {
  options_.copy = true;
  PackagePlan half = plan();
  half.steps.resize(3);
  carry_out(half, {});
  EXPECT_THROW(find_model("m", {root_.path()}), Error);  // without a description it is none
  write("m/" + layer_name(3) + ".partial", "half");
  EXPECT_EQ(plan().steps.size() + 3, [this] {
    PackageOptions afresh = options_;
    afresh.output = root_ / "afresh";
    return plan_package(afresh).steps.size();
  }());
  package();
  EXPECT_EQ(read_all(root_ / "m" / layer_name(3)), read_all(root_ / "built" / layer_name(3)));
  for (const auto& entry : fs::recursive_directory_iterator(root_ / "m")) {
    EXPECT_NE(entry.path().extension(), ".partial");
  }
}

TEST_F(PackageTest, AnotherFileInTheWayIsLeftAlone) {
  write("m/" + layer_name(0), "something else");
  expect_mentions(problems(), {"m/" + layer_name(0) + ": is in the way of"});
}

TEST_F(PackageTest, AnUnreadableTokenizerIsNoted) {
  write("built/tokenizer/tokenizer.json",
        R"({"model":{"type":"WordPiece"}})" + std::string(64, ' '));
  EXPECT_EQ(problems(), "");
  ASSERT_EQ(plan().notes.size(), 1U);
  expect_mentions(plan().notes[0], {"cannot use the tokenizer", "tokenizer.json"});
}

TEST_F(PackageTest, NamesAndFoldersAreChecked) {
  for (const char* name : {"", ".", "..", "a/b", "a b", "a\"b", "a%d"}) {
    options_.name = name;
    EXPECT_THROW(plan(), Error) << name;
  }
  options_.name = "m";
  options_.wanted.source = root_ / "nowhere";
  EXPECT_THROW(plan(), Error);
}

TEST_F(PackageTest, AFileThatCannotBeWrittenIsNamed) {
  PackagePlan made = plan();
  write("m", "a file where the folder should be");
  try {
    carry_out(made, {});
    FAIL();
  } catch (const Error& error) {
    expect_mentions(error.what(), {"cannot write", "m/" + layer_name(0)});
  }
}

}  // namespace
}  // namespace runner
