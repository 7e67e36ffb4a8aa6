#include "main_llm/child_process.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>

#include "runner/error.h"

namespace main_llm {
namespace {

using std::chrono::minutes;

ChildProcess shell(const std::string& script) {
  return {{"/bin/sh", "-c", script}, {"SAID=heard"}};
}

TEST(ChildProcess, TellsHowItEndedAndWhatItWroteLast) {
  ChildProcess child = shell("echo first; echo \"$SAID\" >&2; exit 3");
  ASSERT_TRUE(child.wait_end(minutes(1)));
  const std::string story = child.story();
  EXPECT_EQ(story.find("exit status 3; the end of its output: "), 0U);
  EXPECT_NE(story.find("first"), std::string::npos);
  EXPECT_NE(story.find("heard"), std::string::npos);

  ChildProcess killed = shell("kill -9 $$");
  ASSERT_TRUE(killed.wait_end(minutes(1)));
  EXPECT_EQ(killed.story(), "killed by signal 9, without a word");
}

TEST(ChildProcess, KeepsTheEndOfMuchOutput) {
  ChildProcess child = shell("yes 0123456789 | head -c 1000000; echo the end >&2");
  ASSERT_TRUE(child.wait_end(minutes(1)));
  const std::string story = child.story();
  EXPECT_LT(story.size(), 1100U);
  EXPECT_NE(story.find("the end"), std::string::npos);
}

TEST(ChildProcess, ForgetsStdoutWhenToldTo) {
  const std::string go = ::testing::TempDir() + "child_process_" + std::to_string(getpid());
  ChildProcess child = shell("until [ -e " + go + " ]; do sleep 0.01; done; echo secret; exit 1");
  child.forget_stdout();
  std::ofstream(go) << "go";
  ASSERT_TRUE(child.wait_end(minutes(1)));
  EXPECT_EQ(child.story(), "exit status 1, without a word");
  std::remove(go.c_str());
}

TEST(ChildProcess, IsEndedWithWhatItStarted) {
  // The grandchild holds the outputs open, and takes no SIGTERM.
  ChildProcess child = shell("trap '' TERM; sleep 1000 & exit 0");
  EXPECT_TRUE(child.wait_end(minutes(1)));
}

TEST(ChildProcess, SaysWhyItCannotBeStarted) {
  try {
    ChildProcess child({"/there/is/no/such/program"}, {});
    FAIL() << "started";
  } catch (const runner::Error& error) {
    EXPECT_STREQ(error.what(),
                 "/there/is/no/such/program cannot be started: No such file or directory");
  }
}

}  // namespace
}  // namespace main_llm
