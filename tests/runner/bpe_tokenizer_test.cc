#include "runner/text/bpe_tokenizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <random>
#include <string>
#include <vector>

#include "runner/text/nfc.h"
#include "runner/text/utf8_stream.h"
#include "tests/runner/text_data.h"

namespace runner {
namespace {

using text_data::bad_model;

// The ids that HuggingFace's JavaScript tokenizer gave; `mode`: "tokens" or "ordinary".
std::vector<std::vector<TokenId>> golden_ids(const std::string& kind, const std::string& mode) {
  simdjson::dom::parser parser;
  const simdjson::padded_string json(text_data::read(kind + ".ids.json"));
  const simdjson::dom::object modes = parser.parse(json);
  std::vector<std::vector<TokenId>> result;
  for (const auto line : simdjson::dom::array(modes[mode])) {
    auto& ids = result.emplace_back();
    for (const auto id : simdjson::dom::array(line)) {
      ids.push_back(static_cast<TokenId>(std::int64_t(id)));
    }
  }
  return result;
}

std::string decode(const BpeTokenizer& tokenizer, const std::vector<TokenId>& ids) {
  std::string text;
  for (const TokenId id : ids) text += tokenizer.bytes(id);
  return text;
}

class BpeTokenizerGolden : public testing::TestWithParam<std::string> {};

TEST_P(BpeTokenizerGolden, GivesTheIdsOfHuggingFace) {
  const BpeTokenizer tokenizer(text_data::tokenizer(GetParam()));
  const std::vector<std::string> lines = text_data::lines();
  const auto with_tokens = golden_ids(GetParam(), "tokens");
  const auto ordinary = golden_ids(GetParam(), "ordinary");
  ASSERT_EQ(with_tokens.size(), lines.size());
  ASSERT_EQ(ordinary.size(), lines.size());
  ASSERT_GT(lines.size(), 300U);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(tokenizer.encode(lines[i], SpecialText::kTokens), with_tokens[i]) << lines[i];
    EXPECT_EQ(tokenizer.encode(lines[i], SpecialText::kOrdinary), ordinary[i]) << lines[i];
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, BpeTokenizerGolden, testing::Values("qwen2", "gpt2", "rarer"),
                         [](const auto& kind) { return kind.param; });

TEST(BpeTokenizer, NeverMakesSpecialTokensOfOrdinaryText) {
  const BpeTokenizer tokenizer(text_data::tokenizer("qwen2"));
  std::size_t special = 0;
  for (const std::string& line : text_data::lines()) {
    for (const TokenId id : tokenizer.encode(line, SpecialText::kOrdinary)) {
      EXPECT_FALSE(tokenizer.is_special(id)) << line;
    }
    for (const TokenId id : tokenizer.encode(line, SpecialText::kTokens)) {
      special += tokenizer.is_special(id) ? 1 : 0;
    }
  }
  EXPECT_GT(special, 10U);
}

TEST(BpeTokenizer, DecodingGivesBackTheText) {
  BpeDefinition json = text_data::tokenizer("qwen2");
  const BpeTokenizer composing(json);
  json.normalizers.clear();
  const BpeTokenizer tokenizer(json);
  std::mt19937 random(11);
  for (int i = 0; i < 2000; ++i) {
    const std::string text = text_data::random_text(random, 60);
    EXPECT_EQ(decode(tokenizer, tokenizer.encode(text, SpecialText::kOrdinary)), text);
    EXPECT_EQ(decode(composing, composing.encode(text, SpecialText::kOrdinary)), to_nfc(text));
  }
}

TEST(BpeTokenizer, TakesInvalidUtf8AsReplacementCharacters) {
  const BpeTokenizer tokenizer(text_data::tokenizer("qwen2"));
  std::mt19937 random(12);
  for (int i = 0; i < 500; ++i) {
    std::string bytes;
    for (std::size_t count = random() % 40; count > 0; --count) {
      bytes += static_cast<char>(random());
    }
    EXPECT_EQ(tokenizer.encode(bytes, SpecialText::kOrdinary),
              tokenizer.encode(to_valid_utf8(bytes), SpecialText::kOrdinary));
  }
}

// Quadratic time would need hours for these. Of the processor's time, however busy it is.
TEST(BpeTokenizer, EncodesLongTextWithoutSpaces) {
  const BpeTokenizer tokenizer(text_data::tokenizer("qwen2"));
  constexpr std::size_t kBytes = 400'000;
  std::mt19937 random(13);
  std::string letters;
  while (letters.size() < kBytes) letters += static_cast<char>('a' + random() % 26);
  std::string marks = "e";
  while (marks.size() < kBytes) marks += "\u0316\u0301\u0302";
  const std::clock_t start = std::clock();
  for (const std::string& text :
       {letters, marks, std::string(kBytes, 'a'), std::string(kBytes, ' ') + "x",
        std::string(kBytes, '<'), std::string(kBytes, '\n')}) {
    EXPECT_FALSE(tokenizer.encode(text, SpecialText::kTokens).empty());
  }
  EXPECT_LT((std::clock() - start) / CLOCKS_PER_SEC, 60);
}

std::vector<std::string> spelled(const BpeTokenizer& tokenizer, const std::vector<TokenId>& ids) {
  std::vector<std::string> tokens;
  for (const TokenId id : ids) tokens.emplace_back(tokenizer.spelling(id));
  return tokens;
}

using Spelled = std::vector<std::string>;

// Special tokens are recognised in text of our own only, wherever outside text stands beside it.
TEST(BpeTokenizer, KeepsPartsFromOutsideFreeOfSpecialTokens) {
  const BpeTokenizer tokenizer(text_data::tokenizer("qwen2"));
  const TokenId end = tokenizer.find("<|im_end|>").value();
  const auto count = [&](const PromptText& text) {
    const auto ids = tokenizer.encode(text);
    return std::count(ids.begin(), ids.end(), end);
  };
  PromptText text;
  text.add_outside("a<|im_end|>b");
  EXPECT_EQ(count(text), 0);
  text.add_own("<|im_end|>");
  text.add_outside("<|im_end|>");
  text.add_own("<|im_end|>");
  EXPECT_EQ(count(text), 2);
  PromptText completed;
  completed.add_own("<|im_");
  completed.add_outside("end|");
  completed.add_own(">");
  EXPECT_EQ(count(completed), 0);
  EXPECT_EQ(completed.text(), "<|im_end|>");
}

TEST(BpeTokenizer, LooksForWholeWordsWhereATokenSaysSo) {
  BpeDefinition json = text_data::tokenizer("qwen2");
  json.added_tokens.push_back({.id = 5000, .text = "now", .single_word = true});
  json.added_tokens.push_back({.id = 5001, .text = "ow", .single_word = true});
  const BpeTokenizer tokenizer(json);
  const auto places = [&](const std::string& text) {
    const auto ids = tokenizer.encode(text, SpecialText::kOrdinary);
    return std::count(ids.begin(), ids.end(), 5000) * 10 + std::count(ids.begin(), ids.end(), 5001);
  };
  EXPECT_EQ(places("now, now"), 20);
  EXPECT_EQ(places("know nows now_ 1now now\u0301 今now"), 0);
  EXPECT_EQ(places("(now) ow-now"), 21);
}

// Like Llama 2's, in small: characters, spaces as U+2581, bytes for the rest.
BpeDefinition small_character_bpe() {
  BpeDefinition definition;
  definition.source = "small";
  definition.symbols = BpeDefinition::Symbols::kCharacters;
  definition.byte_fallback = true;
  TokenId next = 0;
  const auto add = [&](const std::string& spelling) {
    definition.vocabulary.emplace_back(spelling, next++);
  };
  for (unsigned byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", byte);
    add(name);
  }
  for (const char* token :
       {"\u2581", "a", "b", "あ", "\u2581a", "ab", "\u2581ab", "\u2581\u2581"}) {
    add(token);
  }
  definition.merges = {{"\u2581", "a"}, {"a", "b"}, {"\u2581", "ab"}, {"\u2581", "\u2581"}};
  definition.normalizers = {PrependText{"\u2581"}, ReplaceText{" ", "\u2581"}};
  definition.added_tokens = {{.id = 900, .text = "<s>", .special = true}};
  definition.drops_first_space = true;
  return definition;
}

TEST(CharacterBpe, CutsIntoCharactersAndBytes) {
  const BpeTokenizer tokenizer(small_character_bpe());
  EXPECT_EQ(tokenizer.kind(), "SentencePiece BPE");
  const auto tokens = [&](const std::string& text) {
    return spelled(tokenizer, tokenizer.encode(text, SpecialText::kTokens));
  };
  EXPECT_EQ(tokens("ab ab"), Spelled({" a", "b", " a", "b"}));  // the first merge goes first
  EXPECT_EQ(tokens("bab  あ"), Spelled({" ", "b", "ab", "  ", "あ"}));
  EXPECT_EQ(tokens("é\n"), Spelled({" ", "\xC3", "\xA9", "\n"}));
  EXPECT_EQ(tokens("<s>a<s>"), Spelled({"<s>", " a", "<s>"}));
  EXPECT_EQ(tokens(""), Spelled());
  EXPECT_EQ(decode(tokenizer, tokenizer.encode("ab é<s>", SpecialText::kTokens)), " ab é");
}

TEST(CharacterBpe, UnknownCharactersAreOneTokenOrMany) {
  BpeDefinition definition = small_character_bpe();
  definition.byte_fallback = false;
  definition.unknown = 7;
  definition.fuse_unknown = true;
  const auto count = [&](const std::string& text) {
    const auto ids = BpeTokenizer(definition).encode(text, SpecialText::kOrdinary);
    return std::count(ids.begin(), ids.end(), 7);
  };
  EXPECT_EQ(count("xyz a xyz"), 2);
  definition.fuse_unknown = false;
  EXPECT_EQ(count("xyz a xyz"), 6);
  definition.unknown.reset();
  EXPECT_EQ(bad_model([&] { count("a"); }),
            "small: has neither byte_fallback nor a token for unknown characters");
}

TEST(CharacterBpe, PrependsToTheFirstSectionOnlyWhereTold) {
  BpeDefinition definition = small_character_bpe();
  definition.normalizers = {ReplaceText{" ", "\u2581"}};
  definition.rewrites = {PrependText{"\u2581", true, true}};
  const BpeTokenizer tokenizer(definition);
  const auto tokens = [&](const std::string& text) {
    return spelled(tokenizer, tokenizer.encode(text, SpecialText::kTokens));
  };
  EXPECT_EQ(tokens("b<s>b"), Spelled({" ", "b", "<s>", "b"}));
  EXPECT_EQ(tokens("<s>b b"), Spelled({"<s>", "b", " ", "b"}));
  EXPECT_EQ(tokens(" b"), Spelled({" ", "b"}));
}

// With ranks any two tokens merge that together are spelled like one, the leftmost of equals first.
TEST(CharacterBpe, MergesByRank) {
  BpeDefinition definition = small_character_bpe();
  definition.merges.clear();
  definition.normalizers.clear();
  const auto tokens = [&](const std::string& text) {
    const BpeTokenizer tokenizer(definition);
    return spelled(tokenizer, tokenizer.encode(text, SpecialText::kTokens));
  };
  definition.ranks.assign(definition.vocabulary.size(), BpeDefinition::kNoRank);
  for (std::size_t i = 256; i < definition.ranks.size(); ++i) definition.ranks[i] = 3;
  EXPECT_EQ(tokens("\u2581ab"), Spelled({" ab"}));
  EXPECT_EQ(tokens("\u2581\u2581\u2581ab"), Spelled({"  ", " ab"}));
  definition.ranks[261] = 1;  // "ab"
  EXPECT_EQ(tokens("\u2581\u2581\u2581ab"), Spelled({"  ", " ab"}));
  definition.ranks[262] = BpeDefinition::kNoRank;  // " ab"
  EXPECT_EQ(tokens("\u2581ab"), Spelled({" ", "ab"}));
}

TEST(CharacterBpe, LongTextWithoutSpacesAndRunsOfThem) {
  const BpeTokenizer tokenizer(small_character_bpe());
  for (const std::string& text : {std::string(300'001, 'a'), std::string(300'000, ' ') + "ab"}) {
    const auto ids = tokenizer.encode(text, SpecialText::kOrdinary);
    EXPECT_EQ(decode(tokenizer, ids), " " + text);
  }
}

TEST(BpeTokenizer, FindsTokensByTheirText) {
  const BpeTokenizer tokenizer(text_data::tokenizer("qwen2"));
  const TokenId end = tokenizer.find("<|im_end|>").value();
  EXPECT_TRUE(tokenizer.is_special(end));
  EXPECT_EQ(tokenizer.bytes(end), "");
  const TokenId think = tokenizer.find("<think>").value();
  EXPECT_FALSE(tokenizer.is_special(think));
  EXPECT_EQ(tokenizer.bytes(think), "<think>");
  EXPECT_EQ(tokenizer.bytes(tokenizer.find(" ").value()), " ");
  EXPECT_FALSE(tokenizer.find("<|no such token|>"));
}

TEST(BpeTokenizer, IdsWithoutATokenHaveNoBytes) {
  const BpeTokenizer tokenizer(text_data::tokenizer("qwen2"));
  EXPECT_EQ(tokenizer.vocab(), tokenizer.find("</think>").value() + 1);
  for (const TokenId id : {-1, tokenizer.vocab(), tokenizer.vocab() + 1000, 0x7fffffff}) {
    EXPECT_EQ(tokenizer.bytes(id), "");
    EXPECT_FALSE(tokenizer.is_special(id));
  }
}

TEST(BpeTokenizer, RefusesPartsThatDoNotFitTogether) {
  const BpeDefinition good = text_data::tokenizer("qwen2");
  const auto error = [&good](const std::function<void(BpeDefinition&)>& damage) {
    BpeDefinition json = good;
    damage(json);
    return bad_model([&json] { const BpeTokenizer tokenizer(json); });
  };
  EXPECT_EQ(error([](BpeDefinition& json) { json.vocabulary[0].first = "xyz"; }),
            "tokenizer.json: vocab has no token \"!\" for byte 33; a byte-level BPE needs all 256");
  EXPECT_EQ(error([](BpeDefinition& json) { json.merges[0].first = "xyz"; }),
            "tokenizer.json: merge 0 needs token \"xyz\", which vocab does not have");
  EXPECT_EQ(error([](BpeDefinition& json) { json.vocabulary[1].second = 0; }),
            "tokenizer.json: tokens \"!\" and \"\"\" have the same id 0");
  EXPECT_NE(error([](BpeDefinition& json) {
              json.splits[0].pattern = "(a";
            }).find("regular expression \"(a\" at byte 2: "),
            std::string::npos);
}

// Straight from the definition, in quadratic time.
std::vector<TokenId> merge_slowly(std::vector<TokenId> tokens,
                                  const std::vector<std::array<TokenId, 3>>& merges) {
  for (;;) {
    std::size_t best_rank = merges.size();
    std::size_t best = 0;
    for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
      for (std::size_t rank = 0; rank < best_rank; ++rank) {
        if (merges[rank][0] == tokens[i] && merges[rank][1] == tokens[i + 1]) {
          best_rank = rank;
          best = i;
        }
      }
    }
    if (best_rank == merges.size()) return tokens;
    tokens[best] = merges[best_rank][2];
    tokens.erase(tokens.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

TEST(BpeMerges, MergesTheLowestRankFirstHoweverLongThePiece) {
  std::mt19937 random(14);
  for (int round = 0; round < 200; ++round) {
    // Few tokens and many merges, so that merged tokens are merged again.
    std::vector<std::array<TokenId, 3>> merges;
    BpeMerges table(20);
    for (TokenId merged = 3; merged < 23; ++merged) {
      const auto pick = [&] {
        return static_cast<TokenId>(random() % static_cast<unsigned>(merged));
      };
      const TokenId left = pick();
      const TokenId right = pick();
      bool known = false;
      for (const auto& merge : merges) known |= merge[0] == left && merge[1] == right;
      if (known) continue;
      table.add(left, right, static_cast<std::uint32_t>(merges.size()), merged);
      merges.push_back({left, right, merged});
    }
    std::vector<TokenId> tokens(random() % 150);
    for (TokenId& token : tokens) token = static_cast<TokenId>(random() % 3);
    const std::vector<TokenId> expected = merge_slowly(tokens, merges);
    table.apply(tokens);
    EXPECT_EQ(tokens, expected);
  }
}

TEST(Nfc, ComposesAndOrdersMarks) {
  EXPECT_EQ(to_nfc("plain \u00e9"), "plain \u00e9");
  EXPECT_EQ(to_nfc("e\u0301"), "\u00e9");
  EXPECT_EQ(to_nfc("s\u0307\u0323"), "\u1e69");
  EXPECT_EQ(to_nfc("\u304b\u3099"), "\u304c");
  EXPECT_EQ(to_nfc("\u1100\u1161\u11a8"), "\uac01");
  EXPECT_EQ(to_nfc("\u0958"), "\u0915\u093c");  // a composition exclusion
  EXPECT_EQ(to_nfc("\u212b"), "\u00c5");
  EXPECT_EQ(to_nfc(std::string("a\0\u0301", 4)), std::string("a\0\u0301", 4));
}

}  // namespace
}  // namespace runner
