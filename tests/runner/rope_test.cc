#include "runner/cpu/rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

using runner::ModelConfig;
using runner::RopeTable;

namespace {

// The radians by which `pair` turns from one position to the next.
double frequency(const ModelConfig& config, std::size_t pair) {
  std::vector<float> head(static_cast<std::size_t>(config.head_dim));
  head[pair] = 1;
  RopeTable(config, 2).rotate(head, 1);
  return std::atan2(head[pair + head.size() / 2], head[pair]);
}

// Llama 3.2's positions.
ModelConfig llama() {
  ModelConfig config;
  config.head_dim = 64;
  config.rope_theta = 500000;
  config.rope_scaling = {32, 1, 4, 8192};
  return config;
}

TEST(RopeTable, TurnsPairsByPowersOfTheta) {
  ModelConfig config;
  config.head_dim = 4;
  config.rope_theta = 10000;
  EXPECT_NEAR(frequency(config, 0), 1, 1e-6);
  EXPECT_NEAR(frequency(config, 1), 0.01, 1e-8);
  std::vector<float> head = {1, 2, 3, 4};
  RopeTable(config, 8).rotate(head, 7);
  EXPECT_NEAR(head[0], std::cos(7.0) - 3 * std::sin(7.0), 1e-6);
  EXPECT_NEAR(head[1], 2 * std::cos(0.07) - 4 * std::sin(0.07), 1e-6);
  EXPECT_NEAR(head[2], 3 * std::cos(7.0) + std::sin(7.0), 1e-6);
  EXPECT_NEAR(head[3], 4 * std::cos(0.07) + 2 * std::sin(0.07), 1e-6);
}

// Frequencies computed in float32 by the steps of transformers' _compute_llama3_parameters.
TEST(RopeTable, Llama3ScalesLongWavesOnly) {
  struct Case {
    std::size_t pair;
    double frequency;
  };
  const Case cases[] = {{0, 1},
                        {1, 0.663601279},
                        {14, 0.00321144611},
                        {15, 0.00129054801},
                        {16, 0.000429556705},
                        {17, 9.70828623e-05},
                        {18, 1.94616387e-05},
                        {31, 9.41830649e-08}};
  for (const auto& [pair, expected] : cases) {
    EXPECT_NEAR(frequency(llama(), pair), expected, 1e-6 * expected) << pair;
  }
}

}  // namespace
