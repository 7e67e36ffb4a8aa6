#pragma once

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <cstdint>
#include <string>
#include <vector>

#ifdef HWY_COMPILE_ONLY_STATIC  // without libhwy, which chooses among several
inline void disable_instruction_sets(std::int64_t /*bits*/) {}
inline std::int64_t instruction_set_bits() { return HWY_STATIC_TARGET; }
#else
inline void disable_instruction_sets(std::int64_t bits) { hwy::DisableTargets(bits); }
inline std::int64_t instruction_set_bits() { return hwy::SupportedTargets(); }
#endif

// Every test runs on every instruction set that this machine has:
//   INSTANTIATE_TEST_SUITE_P(Targets, X, testing::ValuesIn(instruction_sets()),
//   instruction_set_name)
class InstructionSetTest : public testing::TestWithParam<std::int64_t> {
 protected:
  // A lower bit is a better instruction set: the chosen one is the best of those left.
  InstructionSetTest() { disable_instruction_sets(GetParam() - 1); }
  ~InstructionSetTest() override { disable_instruction_sets(0); }
};

inline std::vector<std::int64_t> instruction_sets() {
  std::vector<std::int64_t> targets;
  const auto supported = static_cast<std::uint64_t>(instruction_set_bits());
  for (int bit = 0; bit < 63; ++bit) {
    if ((supported >> bit & 1) != 0) targets.push_back(std::int64_t{1} << bit);
  }
  return targets;
}

inline std::string instruction_set_name(const testing::TestParamInfo<std::int64_t>& target) {
  return hwy::TargetName(target.param);
}
