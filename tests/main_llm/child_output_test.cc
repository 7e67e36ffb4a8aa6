#include "main_llm/child_output.h"

#include <gtest/gtest.h>

namespace main_llm {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;

TEST(ChildOutput, IsWhatTheProgramPrints) {
  EXPECT_EQ(child_output({"sh", "-c", "echo \"$0\"; echo not this >&2", "a b"}, minutes(1)),
            "a b\n");
  EXPECT_EQ(child_output({"true"}, minutes(1)), "");
}

TEST(ChildOutput, IsNothingWhenItFails) {
  EXPECT_EQ(child_output({"sh", "-c", "echo text; exit 3"}, minutes(1)), std::nullopt);
  EXPECT_EQ(child_output({"sh", "-c", "echo text; kill -9 $$"}, minutes(1)), std::nullopt);
  EXPECT_EQ(child_output({"there-is-no-such-program"}, minutes(1)), std::nullopt);
}

TEST(ChildOutput, DoesNotWaitPastTheDeadline) {
  EXPECT_EQ(child_output({"sleep", "1000"}, milliseconds(10)), std::nullopt);
}

TEST(ChildOutput, IsBounded) { EXPECT_EQ(child_output({"yes"}, minutes(1)), std::nullopt); }

}  // namespace
}  // namespace main_llm
