#include "runner/mode_params.h"

#include <gtest/gtest.h>

#include "runner/error.h"

namespace runner {
namespace {

TEST(ModeParams, ReadsKnownKeysAndIgnoresOthers) {
  const ModeParams params = parse_mode_params(
      R"({"temperature":0.5,"top_k":40.0,"enable_top_p_sampling":true,"system_prompt":"Hi",
          "precompute_len":1024,"axmodel_num":24,"top_p":null,"enable_thinking":false,
          "chat_template_family":"qwen3","b_bos":true})");
  EXPECT_EQ(params.temperature, 0.5);
  EXPECT_EQ(params.top_k, 40);
  EXPECT_EQ(params.enable_top_p_sampling, true);
  EXPECT_EQ(params.system_prompt, "Hi");
  EXPECT_EQ(params.precompute_len, 1024);
  EXPECT_EQ(params.enable_thinking, false);
  EXPECT_EQ(params.chat_template_family, "qwen3");
  EXPECT_EQ(params.b_bos, true);
  EXPECT_FALSE(params.top_p) << "null counts as absent";
  EXPECT_FALSE(params.max_token_len);
}

TEST(ModeParams, NamesTheKeyTheValueAndTheTypeExpected) {
  const struct {
    const char* json;
    const char* message;
  } cases[] = {
      {R"({"temperature":"hot"})", R"("temperature" is "hot", expected a number)"},
      {R"({"top_k":1.5})", R"("top_k" is 1.5, expected an integer)"},
      {R"({"top_k":3000000000})", R"("top_k" is 3000000000, expected an integer)"},
      {R"({"enable_top_k_sampling":1})", R"("enable_top_k_sampling" is 1, expected true or false)"},
      {R"({"system_prompt":{}})", R"("system_prompt" is {}, expected a string)"},
      {R"({"enable_thinking":"no"})", R"("enable_thinking" is "no", expected true or false)"},
      {R"({"chat_template_family":3})", R"("chat_template_family" is 3, expected a string)"},
  };
  for (const auto& [json, message] : cases) {
    try {
      parse_mode_params(json);
      ADD_FAILURE() << json;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadOption);
      EXPECT_STREQ(error.what(), message);
    }
  }
}

TEST(SamplerOptionsOf, StackFlowsDefaultsWhereNobodySaysAnything) {
  const SamplerOptions options = sampler_options({}, {}, {});
  EXPECT_TRUE(options.enable_top_k);
  EXPECT_EQ(options.top_k, 10);
  EXPECT_FALSE(options.enable_temperature);
  EXPECT_FALSE(options.enable_top_p);
}

TEST(SamplerOptionsOf, SetupWinsOverTheModelWinsOverGenerationConfig) {
  ModeParams generation, mode, setup;
  generation.top_k = 1;
  mode.top_k = 2;
  EXPECT_EQ(sampler_options(generation, {}, {}).top_k, 1);
  EXPECT_EQ(sampler_options(generation, mode, {}).top_k, 2);
  setup.top_k = 3;
  EXPECT_EQ(sampler_options(generation, mode, setup).top_k, 3);
}

TEST(SamplerOptionsOf, AValueInSetupSwitchesItsSamplerOnUnlessAFlagSaysNo) {
  ModeParams off, setup;
  setup.top_p = 0.9;
  setup.temperature = 0.7;
  EXPECT_TRUE(sampler_options({}, {}, setup).enable_top_p);
  EXPECT_TRUE(sampler_options({}, {}, setup).enable_temperature);
  off.enable_top_p_sampling = false;
  EXPECT_FALSE(sampler_options({}, off, setup).enable_top_p) << "mode_param";
  EXPECT_TRUE(sampler_options(off, {}, setup).enable_top_p) << "generation_config is no mode_param";
  setup.enable_top_p_sampling = false;
  EXPECT_FALSE(sampler_options({}, {}, setup).enable_top_p) << "setup";
}

TEST(SamplerOptionsOf, AValueInTheModelFileAloneSwitchesNothingOn) {
  ModeParams mode;
  mode.top_p = 0.9;
  EXPECT_FALSE(sampler_options({}, mode, {}).enable_top_p);
}

}  // namespace
}  // namespace runner
