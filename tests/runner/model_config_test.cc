#include "runner/model_config.h"

#include <gtest/gtest.h>

#include <string>

#include "runner/error.h"
#include "tests/runner/random_model.h"

using runner::ErrorCode;
using runner::ModelConfig;

namespace {

// Qwen2.5-0.5B-Instruct's own file, shortened to what is read.
const std::string kQwen = R"({
  "architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "hidden_act": "silu",
  "hidden_size": 896, "intermediate_size": 4864, "max_position_embeddings": 32768,
  "max_window_layers": 21, "model_type": "qwen2", "num_attention_heads": 14,
  "num_hidden_layers": 24, "num_key_value_heads": 2, "rms_norm_eps": 1e-06,
  "rope_theta": 1000000.0, "sliding_window": 32768, "tie_word_embeddings": true,
  "torch_dtype": "bfloat16", "use_sliding_window": false, "vocab_size": 151936 })";

ModelConfig read(const std::string& json) {
  const TemporaryDirectory directory;
  write_file(directory / "config.json", json);
  return runner::read_model_config(directory.path());
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(ModelConfig, ReadsQwen2) {
  const ModelConfig config = read(kQwen);
  EXPECT_EQ(config.model_type, "qwen2");
  EXPECT_EQ(config.torch_dtype, "bfloat16");
  EXPECT_EQ(config.layers, 24);
  EXPECT_EQ(config.hidden, 896);
  EXPECT_EQ(config.intermediate, 4864);
  EXPECT_EQ(config.heads, 14);
  EXPECT_EQ(config.kv_heads, 2);
  EXPECT_EQ(config.head_dim, 64);
  EXPECT_EQ(config.vocab, 151936);
  EXPECT_EQ(config.max_positions, 32768);
  EXPECT_FLOAT_EQ(config.norm_epsilon, 1e-6F);
  EXPECT_EQ(config.rope_theta, 1000000.0);
  EXPECT_TRUE(config.qkv_bias);
  EXPECT_TRUE(config.tied_embeddings);
}

TEST(ModelConfig, FillsInHuggingFaceDefaults) {
  const ModelConfig config = read(R"({"model_type":"qwen2","hidden_size":64,
    "intermediate_size":100,"num_attention_heads":4,"num_hidden_layers":1,"vocab_size":10,
    "max_position_embeddings":128,"head_dim":null})");
  EXPECT_EQ(config.kv_heads, 4);
  EXPECT_EQ(config.head_dim, 16);
  EXPECT_EQ(config.rope_theta, 10000.0);
  EXPECT_FLOAT_EQ(config.norm_epsilon, 1e-6F);
  EXPECT_FALSE(config.tied_embeddings);
}

TEST(ModelConfig, TakesWholeNumbersForRealOnes) {
  EXPECT_EQ(read(replaced(kQwen, "1000000.0", "1000000")).rope_theta, 1000000.0);
}

TEST(ModelConfig, PlainRopeMayBeSpelledOut) {
  EXPECT_NO_THROW(read(replaced(kQwen, "{", R"({"rope_scaling": null,)")));
  EXPECT_NO_THROW(read(replaced(kQwen, "{", R"({"rope_scaling": {"rope_type": "default"},)")));
}

struct BadConfig {
  std::string json;
  std::string message;
};

TEST(ModelConfig, RefusesWhatItCannotRun) {
  const BadConfig cases[] = {
      {"", "JSON"},
      {"[1]", "JSON"},
      {kQwen.substr(0, 100), "JSON"},
      {replaced(kQwen, "\"qwen2\"", "\"qwen3_moe\""), "qwen3_moe"},
      {replaced(kQwen, "\"model_type\"", "\"x\""), "model_type"},
      {replaced(kQwen, "\"hidden_size\": 896,", ""), "hidden_size"},
      {replaced(kQwen, "\"hidden_size\": 896", "\"hidden_size\": \"896\""), "hidden_size"},
      {replaced(kQwen, "\"hidden_size\": 896", "\"hidden_size\": 0"), "hidden_size"},
      {replaced(kQwen, "\"hidden_size\": 896", "\"hidden_size\": 99999999999"), "hidden_size"},
      {replaced(kQwen, "\"hidden_size\": 896", "\"hidden_size\": 897"), "num_attention_heads"},
      {replaced(kQwen, "\"vocab_size\": 151936", "\"vocab_size\": -1"), "vocab_size"},
      {replaced(kQwen, "\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3"),
       "num_key_value_heads"},
      {replaced(kQwen, "{", R"({"head_dim": 63,)"), "odd"},
      {replaced(kQwen, "{", R"({"head_dim": 16777216,)"), "head_dim"},
      {replaced(kQwen, "\"silu\"", "\"gelu\""), "gelu"},
      {replaced(kQwen, "1e-06", "0"), "rms_norm_eps"},
      {replaced(kQwen, "1000000.0", "\"a\""), "rope_theta"},
      {replaced(kQwen, "\"use_sliding_window\": false", "\"use_sliding_window\": true"),
       "use_sliding_window"},
      {replaced(kQwen, "\"use_sliding_window\": false", "\"use_sliding_window\": 0"),
       "use_sliding_window"},
      {replaced(kQwen, "{", R"({"rope_scaling": {"type": "yarn", "factor": 4.0},)"),
       "rope_scaling"},
  };
  for (const BadConfig& bad : cases) {
    try {
      read(bad.json);
      ADD_FAILURE() << "accepted: " << bad.json;
    } catch (const runner::Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadModel);
      EXPECT_NE(std::string(error.what()).find("config.json"), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find(bad.message), std::string::npos) << error.what();
    }
  }
}

TEST(ModelConfig, MissingFileIsNotFound) {
  const TemporaryDirectory directory;
  try {
    runner::read_model_config(directory.path());
    ADD_FAILURE();
  } catch (const runner::Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  }
}

}  // namespace
