#include "runner/text/tiktoken.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "runner/text/bpe_tokenizer.h"
#include "tests/runner/text_data.h"

namespace runner {
namespace {

using text_data::bad_model;

std::string tiktoken_refusal(const std::string& file) {
  return bad_model([&file] { parse_tiktoken(file); });
}

// Checks against what OpenAI's tiktoken gives (tests/data/text/make_tiktoken.py).
TEST(Tiktoken, GivesTheIdsOfTiktoken) {
  const BpeTokenizer tokenizer(parse_tiktoken(text_data::read("small.tiktoken")));
  simdjson::dom::parser parser;
  const simdjson::padded_string json(text_data::read("tiktoken.ids.json"));
  const simdjson::dom::object expected = parser.parse(json);
  const simdjson::dom::object ordinary = expected["ordinary"];
  const auto ids_of = [](const simdjson::dom::element& row) {
    std::vector<TokenId> ids;
    for (const auto id : simdjson::dom::array(row)) {
      ids.push_back(static_cast<TokenId>(std::int64_t(id)));
    }
    return ids;
  };
  const std::vector<std::string> lines = text_data::lines();
  std::size_t at = 0;
  for (const auto row : simdjson::dom::array(expected["tokens"])) {
    const std::string& line = lines.at(at);
    EXPECT_EQ(tokenizer.encode(line, SpecialText::kTokens), ids_of(row)) << line;
    simdjson::dom::element other = row;
    if (ordinary[std::to_string(at)].get(other) != simdjson::SUCCESS) other = row;
    EXPECT_EQ(tokenizer.encode(line, SpecialText::kOrdinary), ids_of(other)) << line;
    ++at;
  }
  EXPECT_EQ(at, lines.size());
  EXPECT_GT(ordinary.size(), 5U);
}

TEST(Tiktoken, ReadsTokensAndRanks) {
  const BpeDefinition definition = parse_tiktoken("aGVsbG8= 7\r\n\nISE= 9\n/w== 8");
  using Entry = std::pair<std::string, TokenId>;
  EXPECT_EQ(definition.vocabulary, (std::vector<Entry>{{"hello", 7}, {"!!", 9}, {"\xFF", 8}}));
  EXPECT_EQ(definition.ranks, (std::vector<std::uint32_t>{7, 9, 8}));
}

TEST(Tiktoken, PutsQwensTokensBehindTheVocabulary) {
  const BpeDefinition definition = parse_tiktoken("YQ== 41\nYg== 40\n");
  ASSERT_EQ(definition.added_tokens.size(), 208U);
  EXPECT_EQ(definition.added_tokens[0].text, "<|endoftext|>");
  EXPECT_EQ(definition.added_tokens[0].id, 42);
  EXPECT_EQ(definition.added_tokens[2].text, "<|im_end|>");
  EXPECT_EQ(definition.added_tokens[3].text, "<|extra_0|>");
  EXPECT_EQ(definition.added_tokens[207].text, "<|extra_204|>");
  EXPECT_EQ(definition.added_tokens[207].id, 249);
  for (const AddedToken& token : definition.added_tokens) EXPECT_TRUE(token.special);
}

TEST(Tiktoken, NamesTheLineThatIsWrong) {
  const auto no_token = [](const std::string& line) {
    return "tiktoken file: line 2 is \"" + line + "\", expected a token in base64 and a rank";
  };
  for (const std::string line :
       {"YQ==", "YQ= 1", "YQ 1", "YR== 1", "YWJ= 1", "Y=Q= 1", "==== 1", "Y*== 1", "YWJjA=== 1",
        " 1", "{\"model\": 1}", "Y 1", "YWJj= 1"}) {
    EXPECT_EQ(tiktoken_refusal("Yg== 0\n" + line + "\n"), no_token(line));
  }
  for (const std::string rank : {"", "x", "-1", "1 ", " 1", "1048576", "99999999999", "1.0"}) {
    EXPECT_EQ(tiktoken_refusal("YQ== " + rank),
              "tiktoken file: line 1 has rank \"" + rank + "\", expected 0 to 1048575");
  }
  EXPECT_EQ(tiktoken_refusal("\xE3 0"),
            "tiktoken file: line 1 is \"\uFFFD 0\", expected a token in base64 and a rank");
  EXPECT_EQ(tiktoken_refusal("\n\n"), "tiktoken file: has no tokens");
  EXPECT_EQ(tiktoken_refusal("YQ== 1\nYQ== 2\n"),
            "tiktoken file: ranks 1 and 2 have the same token");
  EXPECT_EQ(bad_model([] { BpeTokenizer(parse_tiktoken("YQ== 1\nYg== 1\n")); }),
            "tiktoken file: tokens \"a\" and \"b\" have the same id 1");
}

}  // namespace
}  // namespace runner
