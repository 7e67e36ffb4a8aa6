#include "runner/text/pretokenizer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/runner/text_data.h"

namespace runner {
namespace {

using Behavior = SplitRule::Behavior;
using Pieces = std::vector<std::string_view>;

Pieces split(const Pretokenizer& pretokenizer, std::string_view text) {
  Pieces pieces;
  pretokenizer.split(text, pieces);
  return pieces;
}

Pieces split(const SplitRule& rule, std::string_view text) {
  return split(Pretokenizer({rule}), text);
}

// The examples of HuggingFace's documentation of SplitDelimiterBehavior.
TEST(Pretokenizer, SplitsWithEachBehavior) {
  constexpr std::string_view kText = "the-final--countdown";
  EXPECT_EQ(split({"-", Behavior::kRemoved}, kText), (Pieces{"the", "final", "countdown"}));
  EXPECT_EQ(split({"-", Behavior::kIsolated}, kText),
            (Pieces{"the", "-", "final", "-", "-", "countdown"}));
  EXPECT_EQ(split({"-", Behavior::kMergedWithPrevious}, kText),
            (Pieces{"the-", "final-", "-", "countdown"}));
  EXPECT_EQ(split({"-", Behavior::kMergedWithNext}, kText),
            (Pieces{"the", "-final", "-", "-countdown"}));
  EXPECT_EQ(split({"-", Behavior::kContiguous}, kText),
            (Pieces{"the", "-", "final", "--", "countdown"}));
}

TEST(Pretokenizer, InvertSwapsMatchesAndTheRest) {
  EXPECT_EQ(split({"[a-z]+", Behavior::kRemoved, true}, "ab, cd"), (Pieces{"ab", "cd"}));
  EXPECT_EQ(split({"\\p{N}{1,3}", Behavior::kIsolated, true}, "a12345"),
            (Pieces{"a", "123", "45"}));
}

TEST(Pretokenizer, RulesWorkOnThePiecesOfTheOneBefore) {
  const Pretokenizer pretokenizer(
      {{" ", Behavior::kMergedWithNext}, {"[0-9]", Behavior::kIsolated}});
  EXPECT_EQ(split(pretokenizer, "a 12 b"), (Pieces{"a", " ", "1", "2", " b"}));
}

TEST(Pretokenizer, WithoutRulesTheTextIsOnePiece) {
  EXPECT_EQ(split(Pretokenizer({}), "a b"), (Pieces{"a b"}));
  EXPECT_EQ(split(Pretokenizer({}), ""), Pieces{});
}

TEST(Pretokenizer, PatternsKnowUnicode) {
  const SplitRule words{R"(\p{L}+)", Behavior::kRemoved, true};
  EXPECT_EQ(split(words, "naïve 東京！Привет"), (Pieces{"naïve", "東京", "Привет"}));
  // What is white space for Oniguruma, U+180E not among it.
  const SplitRule space{R"(\s)", Behavior::kRemoved};
  EXPECT_EQ(split(space, "a\u0085b\u00a0c\u1680d\u2003e\u2028f\u202fg\u205fh\u3000i"),
            (Pieces{"a", "b", "c", "d", "e", "f", "g", "h", "i"}));
  EXPECT_EQ(split(space, "a\u180eb\u200bc"), (Pieces{"a\u180eb\u200bc"}));
  const SplitRule no_space{R"([^\s\p{L}]+|\S)", Behavior::kRemoved, true};
  EXPECT_EQ(split(no_space, "\u180e!\u3000x"), (Pieces{"\u180e!", "x"}));
}

TEST(Pretokenizer, EmptyMatchesAreNoPieces) {
  EXPECT_EQ(split({"x*", Behavior::kIsolated}, "あxxい"), (Pieces{"あ", "xx", "い"}));
  EXPECT_EQ(split({"(?=い)", Behavior::kIsolated}, "あいう"), (Pieces{"あいう"}));
}

TEST(Pretokenizer, LiteralPatternsMatchThemselves) {
  const std::string text = "a.b*c\\d[e]{f}(g)|^$?+-#/\"<あ> \n";
  const SplitRule rule{literal_pattern(text), Behavior::kIsolated};
  EXPECT_EQ(split(rule, "axb" + text + "."), (Pieces{"axb", text, "."}));
}

TEST(Pretokenizer, KeepsEveryByte) {
  const BpeDefinition json = text_data::tokenizer("rarer");
  const Pretokenizer pretokenizer(json.splits);
  std::mt19937 random(21);
  for (int i = 0; i < 500; ++i) {
    const std::string text = text_data::random_text(random, 80);
    std::string together;
    for (const std::string_view piece : split(pretokenizer, text)) {
      EXPECT_FALSE(piece.empty());
      together += piece;
    }
    EXPECT_EQ(together, text);
  }
}

TEST(Pretokenizer, RefusesAWrongPattern) {
  EXPECT_NE(text_data::bad_model([] {
              Pretokenizer({{"[a", Behavior::kIsolated}});
            }).find("regular expression \"[a\" at byte 2: missing terminating ]"),
            std::string::npos);
}

TEST(Pretokenizer, GivesUpOnPatternsThatTakeForever) {
  const Pretokenizer pretokenizer({{"(a|a|aa)+(a|aa)+$", Behavior::kIsolated}});
  EXPECT_NE(text_data::bad_model([&] {
              split(pretokenizer, std::string(5000, 'a') + "b");
            }).find("cannot be matched"),
            std::string::npos);
}

}  // namespace
}  // namespace runner
