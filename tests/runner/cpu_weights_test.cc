#include "runner/cpu/cpu_weights.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "runner/cpu/anonymous_memory.h"
#include "runner/error.h"
#include "tests/runner/expect_mentions.h"
#include "tests/runner/random_model.h"

using runner::ErrorCode;
using runner::load_cpu_model;

namespace {

// Makes a model directory, breaks it, and loads it; the error's text.
template <typename Break>
std::string error_after(const Break& damage, ErrorCode code = ErrorCode::kBadModel,
                        const RandomModel& model = {}) {
  const TemporaryDirectory directory;
  write_random_model(directory.path(), model);
  damage(directory);
  try {
    load_cpu_model(directory.path(), 100);
  } catch (const runner::Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "was loaded";
  return "";
}

TEST(CpuWeights, AreMappedWhenTheFileHoldsBf16) {
  const TemporaryDirectory directory;
  write_random_model(directory.path(), {});
  const auto model = load_cpu_model(directory.path(), 100);
  EXPECT_EQ(model.weights->converted_bytes, 0U);
  EXPECT_EQ(model.shape.layers, 2);
  EXPECT_EQ(model.shape.hidden, 32);
  EXPECT_EQ(model.shape.vocab, 50);
  EXPECT_EQ(model.embeddings->vocab(), 50);
  EXPECT_EQ(model.embeddings->hidden(), 32);
  EXPECT_EQ(model.weights->output.values.data(), model.weights->embeddings.values.data());
  // Matrices of two layers (q, k, v, o, gate, up, down) and the output.
  EXPECT_EQ(model.weights->decode_bytes,
            2U * (2 * (32 * 32 * 2 + 16 * 32 * 2 + 3 * 48 * 32) + 50 * 32));
}

TEST(CpuWeights, AreConvertedOtherwise) {
  for (const RandomModel& model :
       {RandomModel{.tied = false, .dtype = "F32"}, RandomModel{.tied = false, .dtype = "F16"},
        RandomModel{.tied = false, .header_padding = 1}}) {
    const TemporaryDirectory directory;
    write_random_model(directory.path(), model);
    const auto weights = load_cpu_model(directory.path(), 100).weights;
    EXPECT_EQ(weights->converted_bytes, weights->decode_bytes + 2U * 50 * 32);
  }
}

TEST(CpuWeights, HaveWhatTheConfigSays) {
  const TemporaryDirectory directory;
  const auto layer = [&](const RandomModel& model) {
    write_random_model(directory.path(), model);
    return load_cpu_model(directory.path(), 100).weights->layers.at(1);
  };
  const auto qwen2 = layer({});
  EXPECT_EQ(qwen2.key_bias.size(), 16U);
  EXPECT_TRUE(qwen2.attention_output_bias.empty());
  EXPECT_TRUE(qwen2.query_norm.empty());
  const auto qwen3 = layer({.family = "qwen3", .head_dim = 10});
  EXPECT_TRUE(qwen3.query_bias.empty());
  EXPECT_EQ(qwen3.query_norm.size(), 10U);
  EXPECT_EQ(qwen3.key_norm.size(), 10U);
  EXPECT_NE(qwen3.key_norm, qwen3.query_norm);
  const auto llama = layer({.family = "llama", .attention_bias = true});
  EXPECT_EQ(llama.value_bias.size(), 16U);
  EXPECT_EQ(llama.attention_output_bias.size(), 32U);
  EXPECT_TRUE(llama.key_norm.empty());
}

TEST(CpuWeights, ReportProgressUpToOne) {
  const TemporaryDirectory directory;
  write_random_model(directory.path(), {.dtype = "F32"});
  std::vector<double> fractions;
  load_cpu_model(directory.path(), 100, [&](double done) { fractions.push_back(done); });
  ASSERT_GT(fractions.size(), 3U);
  EXPECT_TRUE(std::is_sorted(fractions.begin(), fractions.end()));
  EXPECT_EQ(fractions.back(), 1.0);
}

TEST(CpuWeights, MissingFilesAreNotFound) {
  expect_mentions(error_after([](auto& dir) { std::filesystem::remove(dir / "config.json"); },
                              ErrorCode::kNotFound),
                  {"config.json"});
  expect_mentions(error_after([](auto& dir) { std::filesystem::remove(dir / "model.safetensors"); },
                              ErrorCode::kNotFound),
                  {"model.safetensors"});
}

TEST(CpuWeights, TruncatedFileIsNamed) {
  const auto cut = [](auto& dir) {
    const auto file = dir / "model.safetensors";
    std::filesystem::resize_file(file, std::filesystem::file_size(file) - 2);
  };
  expect_mentions(error_after(cut), {"model.safetensors", "truncated"});
}

TEST(CpuWeights, GitLfsPointerIsNamed) {
  const auto point = [](auto& dir) {
    write_file(dir / "model.safetensors", "version https://git-lfs.github.com/spec/v1\noid x\n");
  };
  expect_mentions(error_after(point), {"model.safetensors", "Git LFS pointer", "git lfs pull"});
}

TEST(CpuWeights, TensorsMustFitTheConfig) {
  const auto other = [](const RandomModel& config) {
    return [config](auto& dir) {
      const TemporaryDirectory source;
      write_random_model(source.path(), config);
      std::filesystem::copy_file(source / "config.json", dir / "config.json",
                                 std::filesystem::copy_options::overwrite_existing);
    };
  };
  expect_mentions(error_after(other({.vocab = 51})),
                  {"model.embed_tokens.weight", "[50, 32]", "[51, 32]"});
  expect_mentions(error_after(other({.layers = 3})), {"model.layers.2."});
  expect_mentions(error_after(other({.intermediate = 47})), {"mlp.gate_proj", "[48, 32]"});
  expect_mentions(error_after(other({.kv_heads = 1})), {"k_proj", "[16, 32]", "[8, 32]"});
  expect_mentions(error_after(other({.tied = false})), {"lm_head.weight"});
  expect_mentions(error_after(other({.family = "qwen3"})), {"model.layers.0.self_attn.q_norm"});
  expect_mentions(error_after(other({.family = "llama", .attention_bias = true})),
                  {"model.layers.0.self_attn.o_proj.bias"});
}

TEST(AnonymousMemory, IsZeroAndGrowsWithUse) {
  const runner::AnonymousMemory memory(std::size_t{1} << 30, "a test");
  EXPECT_EQ(memory.bytes(), std::size_t{1} << 30);
  EXPECT_EQ(static_cast<const char*>(memory.data())[memory.bytes() - 1], 0);
}

TEST(AnonymousMemory, RefusesMoreThanTheMachineHas) {
  try {
    const runner::AnonymousMemory memory(std::size_t{1} << 60, "the K/V cache of 7 rows");
    ADD_FAILURE();
  } catch (const runner::Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutOfMemory);
    expect_mentions(error.what(), {"the K/V cache of 7 rows", "1152921504606846976"});
  }
}

}  // namespace
