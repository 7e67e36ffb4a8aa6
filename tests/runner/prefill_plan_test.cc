#include "runner/npu/prefill_plan.h"

#include <gtest/gtest.h>

namespace runner {

static void PrintTo(const PrefillStep& step, std::ostream* out) {
  *out << "group " << step.group << ": " << step.rows << " rows";
}

namespace {

using Steps = std::vector<PrefillStep>;

// Decode and one prefill group, and the same with groups that have history.
const std::vector<ShapeGroup> kTwoGroups{{1, 1023}, {128, 0}};
const std::vector<ShapeGroup> kContext{{1, 1280}, {128, 0}, {128, 128}, {128, 512}, {128, 1024}};
const std::vector<ShapeGroup> kDecodeOnly{{1, 255}};

Steps decodes(std::size_t group, int count) {
  return Steps(static_cast<std::size_t>(count), {group, 1});
}

TEST(PrefillPlan, AChunkHoldsWhatTheGroupHas) {
  for (const auto& groups : {kTwoGroups, kContext}) {
    EXPECT_EQ(plan_prefill(groups, 0, 20).steps, (Steps{{1, 20}}));
    EXPECT_EQ(plan_prefill(groups, 0, 127).steps, (Steps{{1, 127}}));
    EXPECT_EQ(plan_prefill(groups, 0, 128).steps, (Steps{{1, 128}}));
  }
}

TEST(PrefillPlan, AFewRowsAreDecoded) {
  EXPECT_EQ(plan_prefill(kTwoGroups, 0, 1).steps, decodes(0, 1));
  EXPECT_EQ(plan_prefill(kContext, 500, 3).steps, decodes(0, 3));
  EXPECT_EQ(plan_prefill(kContext, 500, 5).steps, (Steps{{3, 5}}));
}

TEST(PrefillPlan, LongPromptsUseTheLeastHistoryThatReaches) {
  EXPECT_EQ(plan_prefill(kContext, 0, 1152).steps, (Steps{{1, 128},
                                                          {2, 128},
                                                          {3, 128},
                                                          {3, 128},
                                                          {3, 128},
                                                          {4, 128},
                                                          {4, 128},
                                                          {4, 128},
                                                          {4, 128}}));
  EXPECT_EQ(plan_prefill(kContext, 200, 100).steps, (Steps{{3, 100}}));
}

TEST(PrefillPlan, WhereNoGroupReachesRowsAreDecoded) {
  Steps expected{{1, 128}};
  for (const PrefillStep& step : decodes(0, 30)) expected.push_back(step);
  EXPECT_EQ(plan_prefill(kTwoGroups, 0, 158).steps, expected);
  EXPECT_EQ(plan_prefill(kContext, 1100, 10).steps, decodes(0, 10));
  EXPECT_EQ(plan_prefill(kDecodeOnly, 0, 255).steps, decodes(0, 255));
}

TEST(PrefillPlan, RowsAreComputedAnewWhereThatIsFaster) {
  // 20 decode steps against one run of 50 rows.
  const PrefillPlan anew = plan_prefill(kTwoGroups, 30, 20);
  EXPECT_EQ(anew.first_row, 0);
  EXPECT_EQ(anew.steps, (Steps{{1, 50}}));
  // Three decode steps are less than one run.
  EXPECT_EQ(plan_prefill(kTwoGroups, 30, 3).first_row, 30);
  // All rows anew would take a run and 72 steps.
  EXPECT_EQ(plan_prefill(kTwoGroups, 180, 20).first_row, 180);
  // With history, what is there stays.
  EXPECT_EQ(plan_prefill(kContext, 30, 20).first_row, 30);
  EXPECT_EQ(plan_prefill(kContext, 30, 20).steps, (Steps{{2, 20}}));
  EXPECT_EQ(plan_prefill(kDecodeOnly, 30, 20).first_row, 30);
}

TEST(PrefillPlan, EveryRowIsComputedOnceInOrder) {
  for (const auto& groups : {kTwoGroups, kContext, kDecodeOnly}) {
    for (const int length : {0, 1, 127, 128, 129, 200}) {
      for (const int rows : {1, 2, 4, 5, 50}) {
        const PrefillPlan plan = plan_prefill(groups, length, rows);
        int next = plan.first_row;
        for (const PrefillStep& step : plan.steps) {
          EXPECT_GE(groups[step.group].history, next);
          EXPECT_GE(groups[step.group].rows, step.rows);
          EXPECT_GE(step.rows, 1);
          next += step.rows;
        }
        EXPECT_EQ(next, length + rows);
      }
    }
  }
}

TEST(PrefillPlan, DecodingUsesTheSmallestGroupThatReaches) {
  const std::vector<ShapeGroup> groups{{1, 2048}, {64, 0}, {1, 512}};
  EXPECT_EQ(decode_group(groups, 0), 2U);
  EXPECT_EQ(decode_group(groups, 512), 2U);
  EXPECT_EQ(decode_group(groups, 513), 0U);
}

}  // namespace
}  // namespace runner
