#include "runner/text/chars_map.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/runner/sentencepiece_data.h"
#include "tests/runner/text_data.h"

namespace runner {
namespace {

using sentencepiece_data::chars_map;
using sentencepiece_data::little_endian;
using text_data::bad_model;

std::string map_refusal(const std::string& table) {
  return bad_model([&table] { const CharsMap map(table, {}); });
}

TEST(CharsMap, ReplacesTheLongestKeyAtEachPlace) {
  const CharsMap map(
      chars_map({{"a", "1"}, {"ab", "2"}, {"abcd", "4"}, {"\u00e9", "e"}, {"x", ""}}), {});
  EXPECT_EQ(map.rewrite(""), "");
  EXPECT_EQ(map.rewrite("aab"), "12");
  EXPECT_EQ(map.rewrite("abc abcd"), "2c 4");
  EXPECT_EQ(map.rewrite("caf\u00e9 \u65e5x\u672c"), "c1fe \u65e5\u672c");
  EXPECT_EQ(map.rewrite(std::string("a\0x", 3)), std::string("1\0", 2));
}

TEST(CharsMap, LeavesKeptTextsAsTheyAre) {
  const CharsMap map(chars_map({{"a", "1"}, {"b", "2"}}), {"aba", "ab"});
  EXPECT_EQ(map.rewrite("aababab"), "1aba2ab");
  EXPECT_EQ(map.rewrite("aba"), "aba");
}

TEST(CharsMap, AlwaysGivesUtf8) {
  const CharsMap map(chars_map({{"\xE3\x81", "x"}}), {});
  EXPECT_EQ(map.rewrite("\u3042."), "x\uFFFD.");
}

// Without an end time would grow with the square of the text.
TEST(CharsMap, KeysEndAfter256BytesWhenTheTrieGoesInCircles) {
  std::string table = chars_map({{"a", "1"}});
  // The children of "a" are those of the root again, with the value beside them.
  const std::uint32_t root_to_itself = (1U << 8U) | ('a' << 10U) | 'a';
  table.replace(4 + (256 + 'a') * 4, 4, little_endian(root_to_itself));
  table.replace(4 + 256 * 4, 4, little_endian(1U << 31U));
  EXPECT_EQ(CharsMap(table, {}).rewrite(std::string(1000, 'a')), "1111");
}

TEST(CharsMap, RefusesABrokenTable) {
  const std::string good = chars_map({{"a", "1"}, {"\u3042", "\u3044"}});
  const auto replaced = [&good](std::size_t at, std::uint32_t value) {
    return std::string(good).replace(at, 4, little_endian(value));
  };
  ASSERT_EQ(map_refusal(good), "no Error");
  EXPECT_EQ(map_refusal("abc"), "precompiled_charsmap: has no size of its trie");
  EXPECT_EQ(map_refusal(little_endian(1024) + "x"),
            "precompiled_charsmap: its trie is to have 1024 bytes, but there are 1");
  EXPECT_EQ(map_refusal(little_endian(4) + "1234"),
            "precompiled_charsmap: its trie has 4 bytes, expected a multiple of 1024");
  EXPECT_EQ(map_refusal(little_endian(0)),
            "precompiled_charsmap: its trie has 0 bytes, expected a multiple of 1024");
  const std::string replacements =
      "precompiled_charsmap: its replacements are not UTF-8 that ends with a zero byte";
  EXPECT_EQ(map_refusal(good.substr(0, good.size() - 1)), replacements);
  EXPECT_EQ(map_refusal(good + std::string("\xE3\0", 2)), replacements);
  EXPECT_EQ(map_refusal(replaced(4 + 3 * 4, 0x100000U << 10U)),
            "precompiled_charsmap: unit 3 of its trie leads to unit 1048579 of 1536");
  EXPECT_EQ(map_refusal(replaced(4, 1U << 31U)),
            "precompiled_charsmap: unit 0 of its trie leads to unit 2097152 of 1536");
  // The value of "a" is in the first block that a key got.
  EXPECT_EQ(map_refusal(replaced(4 + 512 * 4, 1U << 31U | 3U)),
            "precompiled_charsmap: unit 353 of its trie leads to replacement 3, which is not the "
            "start of one");
  EXPECT_EQ(map_refusal(replaced(4 + 512 * 4, 1U << 31U | 6U)),
            "precompiled_charsmap: unit 353 of its trie leads to replacement 6, which is not the "
            "start of one");
}

}  // namespace
}  // namespace runner
