#include "runner/text/tokenizer_json.h"

#include <gtest/gtest.h>

#include <string>

#include "runner/text/byte_alphabet.h"
#include "tests/runner/text_data.h"

namespace runner {
namespace {

using text_data::bad_model;

constexpr std::string_view kGood = R"({
  "added_tokens": [{"id": 9, "content": "<s>", "special": true}, {"id": 10, "content": "x"}],
  "normalizer": {"type": "NFC"},
  "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
    {"type": "Split", "pattern": {"String": "-"}, "behavior": "Removed", "invert": true},
    {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]},
  "decoder": {"type": "ByteLevel"},
  "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}
})";

std::string replaced(std::string_view what, std::string_view with) {
  std::string json(kGood);
  json.replace(json.find(what), what.size(), with);
  return json;
}

std::string refusal(const std::string& json) {
  return bad_model([&json] { parse_tokenizer_json(json); });
}

TEST(TokenizerJson, ReadsAllParts) {
  const BpeDefinition json = parse_tokenizer_json(kGood);
  EXPECT_EQ(json.vocabulary.size(), 3U);
  ASSERT_EQ(json.merges.size(), 1U);
  EXPECT_EQ(json.merges[0], (std::pair<std::string, std::string>("a", "b")));
  EXPECT_FALSE(json.ignore_merges);
  ASSERT_EQ(json.normalizers.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<ComposeNfc>(json.normalizers[0]));
  EXPECT_TRUE(json.rewrites.empty());
  ASSERT_EQ(json.splits.size(), 1U);
  EXPECT_EQ(json.splits[0].pattern, "\\-");
  EXPECT_EQ(json.splits[0].behavior, SplitRule::Behavior::kRemoved);
  EXPECT_TRUE(json.splits[0].invert);
  ASSERT_EQ(json.added_tokens.size(), 2U);
  EXPECT_TRUE(json.added_tokens[0].special);
  EXPECT_FALSE(json.added_tokens[0].normalized);
  EXPECT_TRUE(json.added_tokens[1].normalized);
}

TEST(TokenizerJson, ReadsMergesInBothForms) {
  const BpeDefinition json = parse_tokenizer_json(replaced(R"(["a b"])", R"([["a", "b"]])"));
  ASSERT_EQ(json.merges.size(), 1U);
  EXPECT_EQ(json.merges[0], (std::pair<std::string, std::string>("a", "b")));
}

TEST(TokenizerJson, NamesWhatIsNotSupported) {
  EXPECT_EQ(
      refusal(replaced(R"("NFC")", R"("NFKC")")),
      "tokenizer.json: normalizer \"NFKC\" is not supported; supported: NFC, Prepend, Replace");
  EXPECT_EQ(refusal(replaced(R"("type": "Split")", R"("type": "Whitespace")")),
            "tokenizer.json: pre_tokenizer \"Whitespace\" is not supported; supported: Split, "
            "Digits, ByteLevel, Metaspace");
  EXPECT_EQ(refusal(replaced(R"("Removed")", R"("Sideways")")),
            "tokenizer.json: behavior of the pre_tokenizer Split \"Sideways\" is not supported; "
            "supported: Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous");
  EXPECT_EQ(refusal(replaced(R"("BPE")", R"("Unigram")")),
            "tokenizer.json: model \"Unigram\" is not supported; supported: BPE");
  EXPECT_EQ(refusal(replaced(R"("decoder": {"type": "ByteLevel"})",
                             R"("decoder": {"type": "WordPiece"})")),
            "tokenizer.json: decoder \"WordPiece\" is not supported; supported: ByteLevel");
  EXPECT_EQ(refusal(replaced(R"("type": "BPE")", R"("type": "BPE", "end_of_word_suffix": "</w>")")),
            "tokenizer.json: end_of_word_suffix \"</w>\" is not supported; supported: none");
  EXPECT_NE(refusal(replaced(R"("add_prefix_space": false)", R"("add_prefix_space": true)")),
            "no Error");
}

TEST(TokenizerJson, ReadsPreTokenizersThatAddAndCut) {
  const std::string digits = replaced(
      R"({"type": "Split")", R"({"type": "Digits", "individual_digits": true}, {"type": "Split")");
  EXPECT_EQ(parse_tokenizer_json(digits).splits.at(0).pattern, R"(\p{N})");
  EXPECT_NE(refusal(replaced(R"("add_prefix_space": false)", R"("add_prefix_space": true)"))
                .find("behind one that cuts it"),
            std::string::npos);
}

TEST(TokenizerJson, ReadsWhatStandsAroundAText) {
  const BpeDefinition json = parse_tokenizer_json(
      replaced(R"("decoder":)",
               R"("post_processor": {"type": "Sequence", "processors": [{"type": "ByteLevel"},
         {"type": "TemplateProcessing", "special_tokens": {"<s>": {"id": "<s>", "ids": [9]}},
          "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}},
                     {"SpecialToken": {"id": "<s>"}}, {"SpecialToken": {"id": "<s>"}}]}]},
         "decoder":)"));
  EXPECT_EQ(json.before, std::vector<TokenId>({9}));
  EXPECT_EQ(json.after, std::vector<TokenId>({9, 9}));
  EXPECT_EQ(refusal(replaced(R"("decoder":)",
                             R"("post_processor": {"type": "BertProcessing"}, "decoder":)")),
            "tokenizer.json: post_processor \"BertProcessing\" is not supported; supported: "
            "TemplateProcessing, ByteLevel");
}

TEST(TokenizerJson, NamesWhatIsMissingOrOfAnotherType) {
  EXPECT_EQ(refusal(replaced(R"("vocab")", R"("v")")), "tokenizer.json: vocab is missing");
  EXPECT_EQ(refusal(replaced(R"(["a b"])", "7")), "tokenizer.json: merges is not an array");
  EXPECT_EQ(refusal(replaced(R"("a b")", R"("ab")")),
            "tokenizer.json: merge \"ab\" is not two tokens with a space between");
  EXPECT_EQ(refusal(replaced(R"("a b")", R"("a  b")")),
            "tokenizer.json: merge \"a  b\" is not two tokens with a space between");
  EXPECT_EQ(refusal(replaced(R"("a b")", R"(["a"])")),
            "tokenizer.json: a merge has 1 parts, expected 2");
  EXPECT_EQ(refusal(replaced(R"("b": 1)", R"("b": "1")")),
            "tokenizer.json: the id of token b is not a whole number");
  EXPECT_EQ(refusal(replaced(R"("b": 1)", R"("b": -1)")),
            "tokenizer.json: token \"b\" has id -1, expected 0 to 1048575");
  EXPECT_EQ(refusal(replaced(R"("b": 1)", R"("b": 4000000000)")),
            "tokenizer.json: token \"b\" has id 4000000000, expected 0 to 1048575");
  EXPECT_EQ(refusal(replaced(R"("id": 9, )", "")), "tokenizer.json: added token \"<s>\" has no id");
  EXPECT_EQ(refusal(replaced(R"("special": true)", R"("special": 1)")),
            "tokenizer.json: special is not true or false");
  EXPECT_NE(refusal("[1]").find("is not a JSON object"), std::string::npos);
  EXPECT_NE(refusal("").find("is not a JSON object"), std::string::npos);
  EXPECT_NE(refusal(R"({"model")").find("is not a JSON object"), std::string::npos);
}

TEST(ByteAlphabet, SpellsEveryByte) {
  EXPECT_EQ(byte_symbol('A'), "A");
  EXPECT_EQ(byte_symbol(' '), "Ġ");
  EXPECT_EQ(byte_symbol('\n'), "Ċ");
  EXPECT_EQ(byte_symbol(0), "Ā");
  EXPECT_EQ(byte_symbol(0xAD), "Ń");
  EXPECT_EQ(byte_symbol(0xFF), "ÿ");
  std::string all;
  std::string symbols;
  for (unsigned byte = 0; byte < 256; ++byte) {
    all += static_cast<char>(byte);
    symbols += byte_symbol(static_cast<std::uint8_t>(byte));
  }
  EXPECT_EQ(bytes_of_symbols(symbols), all);
}

TEST(ByteAlphabet, KnowsWhatIsNotInIt) {
  for (const char* symbols : {" ", "a b", "\n", "あ", "ń\u0145", "\xC4"}) {
    EXPECT_FALSE(bytes_of_symbols(symbols)) << symbols;
  }
  EXPECT_EQ(bytes_of_symbols(""), "");
}

}  // namespace
}  // namespace runner
