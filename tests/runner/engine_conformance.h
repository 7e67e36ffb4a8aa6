#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "runner/engine.h"

// What every Engine must do, whatever computes it. An engine takes part by one line in its own
// test file:
//
//   INSTANTIATE_TEST_SUITE_P(Cpu, EngineConformance, testing::Values(EngineUnderTest{...}));
struct EngineUnderTest {
  std::string name;
  // Makes an engine; every call over the same weights. Its context must hold 40 to 4000 rows.
  std::function<std::unique_ptr<runner::Engine>()> make;
  // How far two ways to the same logits may differ, as a share of the largest logit; 0 asks for
  // the same bits. Say why where it is not 0.
  float tolerance = 0;
};

inline std::ostream& operator<<(std::ostream& stream, const EngineUnderTest& engine) {
  return stream << engine.name;
}

class EngineConformance : public testing::TestWithParam<EngineUnderTest> {
 protected:
  EngineConformance() : engine_(GetParam().make()) {}

  const runner::ModelShape& shape() const { return engine_->shape(); }
  // Seeded random rows of about unit size.
  std::vector<runner::Bf16> random_rows(int count, unsigned seed) const;
  runner::EmbeddingView view(const std::vector<runner::Bf16>& rows) const {
    return {rows, shape().hidden};
  }
  void expect_same(const std::vector<float>& actual, const std::vector<float>& expected) const;

  std::unique_ptr<runner::Engine> engine_;
};

// A copy of the logits, whatever form they have: one score for each of `vocab` tokens, minus
// infinity for those that a list leaves out.
std::vector<float> scores_of(const runner::Logits& logits, int vocab);
