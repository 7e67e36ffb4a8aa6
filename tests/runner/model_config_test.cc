#include "runner/model_config.h"

#include <gtest/gtest.h>

#include <span>
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

// Qwen3-0.6B's and Llama-3.2-1B-Instruct's, shortened likewise.
const std::string kQwen3 = R"({
  "architectures": ["Qwen3ForCausalLM"], "attention_bias": false, "head_dim": 128,
  "hidden_act": "silu", "hidden_size": 1024, "intermediate_size": 3072,
  "max_position_embeddings": 40960, "max_window_layers": 28, "model_type": "qwen3",
  "num_attention_heads": 16, "num_hidden_layers": 28, "num_key_value_heads": 8,
  "rms_norm_eps": 1e-06, "rope_scaling": null, "rope_theta": 1000000, "sliding_window": null,
  "tie_word_embeddings": true, "torch_dtype": "bfloat16", "use_sliding_window": false,
  "vocab_size": 151936 })";
const std::string kLlama3 = R"({
  "architectures": ["LlamaForCausalLM"], "attention_bias": false, "head_dim": 64,
  "hidden_act": "silu", "hidden_size": 2048, "intermediate_size": 8192,
  "max_position_embeddings": 131072, "mlp_bias": false, "model_type": "llama",
  "num_attention_heads": 32, "num_hidden_layers": 16, "num_key_value_heads": 8,
  "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": {"factor": 32.0,
    "high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 8192,
    "rope_type": "llama3"},
  "rope_theta": 500000.0, "tie_word_embeddings": true, "vocab_size": 128256 })";

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
  EXPECT_FALSE(config.rope_scaling);
  EXPECT_TRUE(config.qkv_bias);
  EXPECT_FALSE(config.attention_output_bias);
  EXPECT_FALSE(config.qk_norm);
  EXPECT_TRUE(config.tied_embeddings);
}

TEST(ModelConfig, ReadsQwen3) {
  const ModelConfig config = read(kQwen3);
  EXPECT_EQ(config.model_type, "qwen3");
  EXPECT_EQ(config.hidden, 1024);
  EXPECT_EQ(config.heads, 16);
  EXPECT_EQ(config.kv_heads, 8);
  EXPECT_EQ(config.head_dim, 128);
  EXPECT_TRUE(config.qk_norm);
  EXPECT_FALSE(config.qkv_bias);
  EXPECT_FALSE(config.attention_output_bias);
  EXPECT_FALSE(config.rope_scaling);
  EXPECT_EQ(read(replaced(kQwen3, "\"head_dim\": 128,", "")).head_dim, 128);
}

TEST(ModelConfig, ReadsLlama) {
  const ModelConfig config = read(kLlama3);
  EXPECT_EQ(config.model_type, "llama");
  EXPECT_EQ(config.head_dim, 64);
  EXPECT_FLOAT_EQ(config.norm_epsilon, 1e-5F);
  EXPECT_EQ(config.rope_theta, 500000.0);
  ASSERT_TRUE(config.rope_scaling);
  EXPECT_EQ(config.rope_scaling->factor, 32);
  EXPECT_EQ(config.rope_scaling->low_freq_factor, 1);
  EXPECT_EQ(config.rope_scaling->high_freq_factor, 4);
  EXPECT_EQ(config.rope_scaling->original_positions, 8192);
  EXPECT_FALSE(config.qk_norm);
  EXPECT_FALSE(config.qkv_bias);
  EXPECT_FALSE(config.attention_output_bias);
}

TEST(ModelConfig, AttentionBiasIsOnAllFourProjectionsButQwen2s) {
  for (const std::string& json : {kQwen3, kLlama3}) {
    const ModelConfig config =
        read(replaced(json, "\"attention_bias\": false", "\"attention_bias\": true"));
    EXPECT_TRUE(config.qkv_bias);
    EXPECT_TRUE(config.attention_output_bias);
  }
  const ModelConfig qwen2 = read(replaced(kQwen, "{", R"({"attention_bias": true,)"));
  EXPECT_TRUE(qwen2.qkv_bias);
  EXPECT_FALSE(qwen2.attention_output_bias);
}

TEST(ModelConfig, NewerFilesHavePositionsInOnePlace) {
  std::string json = replaced(kLlama3, "\"rope_theta\": 500000.0, ", "");
  json = replaced(json, "\"rope_scaling\": {", R"("rope_parameters": {"rope_theta": 300000,)");
  const ModelConfig config = read(json);
  EXPECT_EQ(config.rope_theta, 300000);
  ASSERT_TRUE(config.rope_scaling);
  EXPECT_EQ(config.rope_scaling->factor, 32);
  const ModelConfig plain = read(
      replaced(kQwen3, "\"rope_scaling\": null, \"rope_theta\": 1000000",
               R"("rope_parameters": {"rope_type": "default", "rope_theta": 1000000}, "layer_types":
         ["full_attention", "full_attention"])"));
  EXPECT_EQ(plain.rope_theta, 1000000);
  EXPECT_FALSE(plain.rope_scaling);
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

void expect_refused(std::span<const BadConfig> cases) {
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
      {replaced(kQwen, "\"qwen2\"", "\"mistral\""), "\"mistral\"; supported: qwen2, qwen3, llama"},
      {replaced(kLlama3, "\"mlp_bias\": false", "\"mlp_bias\": true"), "mlp_bias"},
      {replaced(kQwen3, "{", R"({"layer_types": ["full_attention", "sliding_attention"],)"),
       "\"sliding_attention\""},
      {replaced(kQwen3, "{", R"({"layer_types": "full_attention",)"), "\"layer_types\" is not"},
      {replaced(kQwen3, "{", R"({"layer_types": [1],)"), "\"layer_types\" has an entry"},
      {replaced(kLlama3, "\"head_dim\": 64", "\"head_dim\": \"64\""), "head_dim"},
  };
  expect_refused(cases);
}

TEST(ModelConfig, RefusesPositionsItDoesNotCompute) {
  const BadConfig cases[] = {
      {replaced(kQwen, "{", R"({"rope_scaling": {"type": "yarn", "factor": 4.0},)"),
       R"("rope_scaling" is of "rope_type" "yarn"; supported: default, llama3)"},
      {replaced(kQwen, "{", R"({"rope_parameters": {"rope_type": "longrope"},)"),
       R"("rope_parameters" is of "rope_type" "longrope")"},
      {replaced(kQwen, "{", R"({"rope_scaling": {"factor": 4.0},)"), R"("rope_type" "")"},
      {replaced(kQwen, "{", R"({"rope_scaling": "llama3",)"), "\"rope_scaling\" is not an object"},
      {replaced(kLlama3, "{", R"({"rope_parameters": {"rope_type": "default"},)"), "has both"},
      {replaced(kLlama3, "\"factor\": 32.0,", ""), "\"rope_scaling.factor\""},
      {replaced(kLlama3, "32.0", "0"), "\"rope_scaling.factor\""},
      {replaced(kLlama3, "\"low_freq_factor\": 1.0", "\"low_freq_factor\": null"),
       "\"rope_scaling.low_freq_factor\""},
      {replaced(kLlama3, "\"low_freq_factor\": 1.0", "\"low_freq_factor\": 4"),
       R"("rope_scaling.low_freq_factor" is not less than "rope_scaling.high_freq_factor")"},
      {replaced(kLlama3, "8192,\n    \"rope_type\"", "8192.5, \"rope_type\""),
       "\"rope_scaling.original_max_position_embeddings\""},
  };
  expect_refused(cases);
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
