#include "runner/text/utf8_stream.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/runner/text_data.h"

namespace runner {
namespace {

std::string through_stream(const std::vector<std::string>& pieces) {
  Utf8Stream stream;
  std::string text;
  for (const std::string& piece : pieces) stream.push(piece, text);
  return text;
}

TEST(Utf8Stream, HoldsBackAnUnfinishedCharacter) {
  Utf8Stream stream;
  std::string text;
  stream.push("a\xE3", text);
  EXPECT_EQ(text, "a");
  stream.push("\x81", text);
  EXPECT_EQ(text, "a");
  stream.push(
      "\x82"
      "b",
      text);
  EXPECT_EQ(text, "aあb");
}

TEST(Utf8Stream, DropsAnUnfinishedCharacterAtTheEnd) {
  EXPECT_EQ(through_stream({"ok\xF0\x9F", "\x98"}), "ok");
}

// Expected texts as Python's bytes.decode("utf-8", "replace") gives them, which follows the same
// recommendation of Unicode as Rust's from_utf8_lossy.
TEST(Utf8Stream, ReplacesEachMaximalSubpart) {
  struct Case {
    std::string bytes;
    std::string text;
  };
  const Case cases[] = {
      {"\x80", "\uFFFD"},
      {"\xC0\x80", "\uFFFD\uFFFD"},
      {"\xC1\xBF.", "\uFFFD\uFFFD."},
      {"\xE3\x81x", "\uFFFDx"},
      {"\xE3\x81\xE3\x81\x82", "\uFFFD\u3042"},
      {"\xE0\x80\x80", "\uFFFD\uFFFD\uFFFD"},
      {"\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD"},
      {"\xF0\x80\x80\x41",
       "\uFFFD\uFFFD\uFFFD"
       "A"},
      {"\xF0\x9F\x98\x41",
       "\uFFFD"
       "A"},
      {"\xF4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"},
      {"\xF5\x80", "\uFFFD\uFFFD"},
      {"\xFF\xFE", "\uFFFD\uFFFD"},
      {std::string("\0\xF1\x80\x80\0", 5), std::string("\0\uFFFD\0", 5)},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(through_stream({one.bytes}), one.text);
    EXPECT_EQ(to_valid_utf8(one.bytes), one.text);
    EXPECT_FALSE(is_valid_utf8(one.bytes));
  }
  EXPECT_EQ(to_valid_utf8("a\xE3\x81"), "a\uFFFD");
}

TEST(Utf8Stream, AnySplitGivesTheSameText) {
  std::mt19937 random(31);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = text_data::random_text(random, 20);
    for (std::size_t damage = random() % 4; damage > 0 && !bytes.empty(); --damage) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    std::vector<std::string> pieces(1);
    for (const char byte : bytes) {
      while (random() % 3 == 0) pieces.emplace_back();
      pieces.back() += byte;
    }
    EXPECT_EQ(through_stream(pieces), through_stream({bytes}));
    // With something behind it nothing is incomplete.
    EXPECT_EQ(through_stream({bytes, "\n"}), to_valid_utf8(bytes + "\n"));
  }
}

TEST(Utf8Stream, EveryPieceIsWholeCharacters) {
  std::mt19937 random(32);
  for (int round = 0; round < 200; ++round) {
    const std::string whole = text_data::random_text(random, 30);
    Utf8Stream stream;
    std::string together;
    for (const char byte : whole) {
      std::string piece;
      stream.push({&byte, 1}, piece);
      EXPECT_TRUE(is_valid_utf8(piece));
      together += piece;
    }
    EXPECT_EQ(together, whole);
  }
}

TEST(Utf8, KnowsWhatIsValid) {
  for (const char* text :
       {"", "a", "\u007f\u0080\u07ff\u0800\ud7fb\ue000\uffff\U00010000\U0010ffff"}) {
    EXPECT_TRUE(is_valid_utf8(text));
    EXPECT_EQ(to_valid_utf8(text), text);
  }
}

}  // namespace
}  // namespace runner
