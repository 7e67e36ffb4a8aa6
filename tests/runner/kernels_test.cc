#include "runner/cpu/kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "tests/runner/instruction_sets.h"

using runner::Bf16;
namespace kernels = runner::kernels;

namespace {

// Every test runs on every instruction set that this machine has.
class Kernels : public InstructionSetTest {
 protected:
  std::vector<float> random_floats(std::size_t count, float scale = 1) {
    std::vector<float> values(count);
    for (float& value : values) {
      value = scale * (static_cast<float>(random_() % 20001) / 10000.0F - 1.0F);
    }
    return values;
  }
  std::vector<Bf16> random_bf16(std::size_t count) {
    const std::vector<float> floats = random_floats(count);
    std::vector<Bf16> values(count);
    std::ranges::transform(floats, values.begin(), runner::to_bf16);
    return values;
  }

  std::mt19937 random_{7};
};

INSTANTIATE_TEST_SUITE_P(Targets, Kernels, testing::ValuesIn(instruction_sets()),
                         instruction_set_name);

struct Matmul {
  int rows;
  int columns;
  int outputs;
  std::vector<float> packed;
  std::vector<Bf16> w;
  std::vector<float> bias;

  kernels::MatmulCall call(float* y) const {
    return {.x = packed.data(),
            .rows = rows,
            .w = w.data(),
            .columns = columns,
            .first = 0,
            .last = outputs,
            .bias = bias.data(),
            .y = y,
            .y_stride = static_cast<std::size_t>(outputs)};
  }
  std::vector<float> result() const {
    std::vector<float> y(static_cast<std::size_t>(rows) * static_cast<std::size_t>(outputs), 99.0F);
    kernels::matmul(call(y.data()));
    return y;
  }
};

std::vector<float> pack(const std::vector<float>& x, int columns) {
  const auto width = static_cast<std::size_t>(columns);
  const std::size_t packed_width = kernels::packed_width(columns);
  std::vector<float> packed(x.size() / width * packed_width);
  for (std::size_t row = 0; row < x.size() / width; ++row) {
    kernels::pack_row({x.data() + row * width, width}, packed.data() + row * packed_width);
  }
  return packed;
}

TEST_P(Kernels, MatmulIsRight) {
  for (const int columns : {1, 2, 7, 31, 32, 33, 64, 95, 512, 513, 896, 1100}) {
    for (const int rows : {1, 2, 3, 5, 6, 7, 13}) {
      const int outputs = 1 + rows % 3 + columns % 9;
      const auto x = random_floats(static_cast<std::size_t>(rows * columns));
      const Matmul matmul{rows,
                          columns,
                          outputs,
                          pack(x, columns),
                          random_bf16(static_cast<std::size_t>(outputs * columns)),
                          random_floats(static_cast<std::size_t>(outputs))};
      const auto y = matmul.result();
      for (int row = 0; row < rows; ++row) {
        for (int output = 0; output < outputs; ++output) {
          double expected = matmul.bias[static_cast<std::size_t>(output)];
          for (int column = 0; column < columns; ++column) {
            expected += static_cast<double>(x[static_cast<std::size_t>(row * columns + column)]) *
                        to_float(matmul.w[static_cast<std::size_t>(output * columns + column)]);
          }
          ASSERT_NEAR(y[static_cast<std::size_t>(row * outputs + output)], expected,
                      1e-5 * std::sqrt(columns) + 1e-6)
              << columns << " columns, row " << row << ", output " << output;
        }
      }
    }
  }
}

TEST_P(Kernels, MatmulBitsDoNotDependOnTheCall) {
  for (const int columns : {5, 33, 64, 600, 1000}) {
    constexpr int kRows = 29;
    constexpr int kOutputs = 37;
    const Matmul matmul{kRows,
                        columns,
                        kOutputs,
                        pack(random_floats(static_cast<std::size_t>(kRows * columns)), columns),
                        random_bf16(static_cast<std::size_t>(kOutputs * columns)),
                        random_floats(kOutputs)};
    const auto whole = matmul.result();
    for (const int row_step : {1, 2, 4, 5, 11}) {
      for (const int output_step : {1, 3, 4, 16}) {
        std::vector<float> pieces(whole.size());
        for (int row = 0; row < kRows; row += row_step) {
          for (int output = 0; output < kOutputs; output += output_step) {
            auto call = matmul.call(pieces.data() + row * kOutputs);
            call.x += static_cast<std::size_t>(row) * kernels::packed_width(columns);
            call.rows = std::min(row_step, kRows - row);
            call.first = output;
            call.last = std::min(output + output_step, kOutputs);
            kernels::matmul(call);
          }
        }
        ASSERT_EQ(std::memcmp(pieces.data(), whole.data(), whole.size() * sizeof(float)), 0)
            << columns << " columns by " << row_step << " rows and " << output_step << " outputs";
      }
    }
  }
}

TEST_P(Kernels, MatmulAddsAndLeavesTheRestAlone) {
  Matmul matmul{2, 40, 10, pack(random_floats(80), 40), random_bf16(400), random_floats(10)};
  const auto product = matmul.result();
  std::vector<float> y(20, 5.0F);
  auto call = matmul.call(y.data());
  call.first = 3;
  call.last = 8;
  call.add = true;
  kernels::matmul(call);
  for (std::size_t i = 0; i < y.size(); ++i) {
    const bool inside = i % 10 >= 3 && i % 10 < 8;
    EXPECT_EQ(y[i], inside ? 5.0F + product[i] : 5.0F) << i;
  }
  call.last = 3;  // nothing
  kernels::matmul(call);
  call.bias = nullptr;
  call.add = false;
  call.last = 4;
  kernels::matmul(call);
  EXPECT_FLOAT_EQ(y[3], product[3] - matmul.bias[3]);
}

TEST_P(Kernels, PackedWidthHoldsTheRowAndAvoidsPowersOfTwo) {
  for (int columns = 1; columns < 5000; columns += 13) {
    EXPECT_GE(kernels::packed_width(columns), static_cast<std::size_t>(columns));
    EXPECT_EQ(kernels::packed_width(columns) % 32, 0U);
  }
  EXPECT_NE(kernels::packed_width(4096) % 512, 0U);
}

TEST_P(Kernels, RmsNormIsRight) {
  for (const std::size_t count : {1U, 7U, 16U, 45U, 896U}) {
    const auto x = random_floats(count, 3);
    const auto weight = random_floats(count);
    std::vector<float> out(count);
    kernels::rms_norm(x, weight, 1e-6F, out);
    double squares = 0;
    for (const float value : x) squares += static_cast<double>(value) * value;
    for (std::size_t i = 0; i < count; ++i) {
      const double expected =
          x[i] / std::sqrt(squares / static_cast<double>(count) + 1e-6) * weight[i];
      EXPECT_NEAR(out[i], expected, 1e-6 + 1e-6 * std::fabs(expected));
    }
    auto in_place = x;
    kernels::rms_norm(in_place, weight, 1e-6F, in_place);
    EXPECT_EQ(in_place, out);
  }
}

TEST_P(Kernels, SiluMultiplyIsRightAndFiniteEverywhere) {
  for (const std::size_t count : {1U, 15U, 16U, 77U}) {
    const auto gate = random_floats(count, 20);
    const auto up = random_floats(count);
    auto out = gate;
    kernels::silu_multiply(out, up);
    for (std::size_t i = 0; i < count; ++i) {
      const double expected = gate[i] / (1 + std::exp(-static_cast<double>(gate[i]))) * up[i];
      EXPECT_NEAR(out[i], expected, 1e-6 + 2e-6 * std::fabs(expected));
    }
  }
  std::vector<float> extreme = {-1e30F, -200, -90, 0, 90, 1e30F};
  kernels::silu_multiply(extreme, std::vector<float>(6, 1.0F));
  EXPECT_NEAR(extreme[0], 0, 1e-6);
  EXPECT_NEAR(extreme[1], 0, 1e-6);
  EXPECT_EQ(extreme[3], 0);
  EXPECT_EQ(extreme[4], 90);
  EXPECT_EQ(extreme[5], 1e30F);
}

TEST_P(Kernels, SiluBitsDoNotDependOnThePosition) {
  const auto gate = random_floats(64, 5);
  const auto up = random_floats(64);
  auto whole = gate;
  kernels::silu_multiply(whole, up);
  auto pieces = gate;
  for (std::size_t first = 0; first < 64; first += 5) {
    const std::size_t count = std::min<std::size_t>(5, 64 - first);
    kernels::silu_multiply({pieces.data() + first, count}, {up.data() + first, count});
  }
  EXPECT_EQ(pieces, whole);
}

TEST_P(Kernels, SoftmaxIsRight) {
  for (const std::size_t count : {1U, 2U, 15U, 16U, 17U, 100U, 1000U}) {
    const auto scores = random_floats(count, 30);
    auto out = scores;
    kernels::softmax(out, 0.5F);
    const double most = *std::ranges::max_element(scores);
    double sum = 0;
    for (const float score : scores) sum += std::exp(0.5 * (score - most));
    for (std::size_t i = 0; i < count; ++i) {
      EXPECT_NEAR(out[i], std::exp(0.5 * (scores[i] - most)) / sum, 1e-6);
    }
  }
  std::vector<float> far = {-1e30F, 1e5F, 0};
  kernels::softmax(far, 1);
  EXPECT_EQ(far, (std::vector<float>{0, 1, 0}));
}

TEST_P(Kernels, WeightedSumIsRightAndItsBitsDoNotDependOnTheRows) {
  for (const std::size_t columns : {2U, 10U, 16U, 34U, 64U, 128U, 131U}) {
    for (const std::size_t terms : {1U, 50U}) {
      const auto values = random_bf16(terms * columns);
      const auto weights = random_floats(4 * 60);
      std::vector<float> out(4 * columns);
      kernels::WeightedSumCall call{.weights = weights.data(),
                                    .weights_stride = 60,
                                    .rows = 4,
                                    .values = values.data(),
                                    .terms = static_cast<int>(terms),
                                    .columns = static_cast<int>(columns),
                                    .out = out.data()};
      kernels::weighted_sum(call);
      for (std::size_t row = 0; row < 4; ++row) {
        for (std::size_t column = 0; column < columns; ++column) {
          double expected = 0;
          for (std::size_t term = 0; term < terms; ++term) {
            expected += static_cast<double>(weights[row * 60 + term]) *
                        to_float(values[term * columns + column]);
          }
          EXPECT_NEAR(out[row * columns + column], expected, 1e-5);
        }
      }
      for (int rows = 1; rows <= 3; ++rows) {
        std::vector<float> fewer(static_cast<std::size_t>(rows) * columns);
        call.rows = rows;
        call.out = fewer.data();
        kernels::weighted_sum(call);
        EXPECT_EQ(std::memcmp(fewer.data(), out.data(), fewer.size() * sizeof(float)), 0);
      }
    }
  }
}

}  // namespace
