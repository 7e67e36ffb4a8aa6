#include "runner/text/sentencepiece_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "runner/text/bpe_tokenizer.h"
#include "tests/runner/sentencepiece_data.h"
#include "tests/runner/text_data.h"

// What SentencePiece itself makes of models is compared in tests/reference/test_sentencepiece.py.
namespace runner {
namespace {

using namespace sentencepiece_data;
using text_data::bad_model;
using Ids = std::vector<TokenId>;

constexpr std::string_view kLine = "\u2581";

// 0 <unk>, 1 <s>, 2 </s>, 3 "▁", 4 a, 5 b, 6 ab, 7 "▁a", 8 ba
std::vector<Message> small_pieces() {
  return {piece("<unk>", 0, kUnknown), piece("<s>", 0, kControl),     piece("</s>", 0, kControl),
          piece(kLine, -9, kNormal),   piece("a", -9, kNormal),       piece("b", -9, kNormal),
          piece("ab", -1, kNormal),    piece("\u2581a", -2, kNormal), piece("ba", -1, kNormal)};
}

std::vector<Message> pieces_with(const Message& more) {
  std::vector<Message> pieces = small_pieces();
  pieces.push_back(more);
  return pieces;
}

Message normalizer_spec(const Message& spec) { return Message().message(3, spec); }

Ids model_ids(const std::string& model_file, std::string_view text,
              SpecialText special = SpecialText::kOrdinary) {
  return BpeTokenizer(parse_sentencepiece_model(model_file)).encode(text, special);
}

std::string model_refusal(const std::string& bytes) {
  return bad_model([&bytes] { parse_sentencepiece_model(bytes); });
}

TEST(SentencePieceModel, HigherScoresMergeFirstAndEqualOnesFromTheLeft) {
  const std::string file = model(small_pieces());
  EXPECT_EQ(model_ids(file, "ab"), (Ids{3, 6}));
  EXPECT_EQ(model_ids(file, "aa"), (Ids{7, 4}));
  EXPECT_EQ(model_ids(file, "bab"), (Ids{3, 8, 5}));
  EXPECT_EQ(model_ids(file, "aba"), (Ids{3, 6, 4}));
}

TEST(SentencePieceModel, SpacesAreAsTheModelSays) {
  const auto with = [](const Message& spec) {
    return model(small_pieces(), normalizer_spec(spec));
  };
  EXPECT_EQ(model_ids(with({}), "  b   b "), (Ids{3, 5, 3, 5}));
  EXPECT_EQ(model_ids(with(Message().number(4, 0)), " b  b"), (Ids{3, 3, 5, 3, 3, 5}));
  EXPECT_EQ(model_ids(with(Message().number(3, 0)), " b  b "), (Ids{5, 3, 5}));
  EXPECT_EQ(model_ids(with(Message().number(3, 0).number(4, 0)), "b "), (Ids{5, 3}));
  EXPECT_EQ(model_ids(with({}), ""), Ids());

  EXPECT_TRUE(parse_sentencepiece_model(with(Message().number(3, 0))).drops_first_space);
  EXPECT_TRUE(parse_sentencepiece_model(with(Message().number(4, 0))).drops_first_space);
  EXPECT_FALSE(
      parse_sentencepiece_model(with(Message().number(3, 0).number(4, 0))).drops_first_space);
}

TEST(SentencePieceModel, ReplacesCharactersButNotSymbolsOfUsers) {
  const std::string file =
      model(pieces_with(piece("Q", 0, kUserDefined)),
            normalizer_spec(Message().text(2, chars_map({{"A", "a"}, {"Q", "b"}, {"\n", " "}}))));
  EXPECT_EQ(model_ids(file, "AQ\n\nb"), (Ids{7, 9, 3, 5}));
}

TEST(SentencePieceModel, SymbolsOfUsersAreTokensWithinTheText) {
  const std::string file = model(pieces_with(piece("ba\u2581", 0, kUserDefined)));
  // No second dummy prefix behind the symbol, and no merge with it.
  EXPECT_EQ(model_ids(file, "ba ab"), (Ids{3, 9, 6}));
  EXPECT_EQ(model_ids(file, "b ba  a"), (Ids{3, 5, 3, 9, 4}));
  EXPECT_EQ(BpeTokenizer(parse_sentencepiece_model(file)).bytes(9), "ba ");
}

TEST(SentencePieceModel, ControlSymbolsAreSpecial) {
  const std::string file = model(small_pieces());
  EXPECT_EQ(model_ids(file, "a<s>b</s>", SpecialText::kTokens), (Ids{7, 1, 3, 5, 2}));
  EXPECT_EQ(model_ids(file, "<s>"), (Ids{3, 0}));
  const BpeTokenizer tokenizer(parse_sentencepiece_model(file));
  EXPECT_TRUE(tokenizer.is_special(0));
  EXPECT_TRUE(tokenizer.is_special(2));
  EXPECT_EQ(tokenizer.find("</s>"), 2);
  EXPECT_EQ(tokenizer.vocab(), 9);
}

TEST(SentencePieceModel, TheBeginningOfASentenceStandsBefore) {
  EXPECT_EQ(parse_sentencepiece_model(model(small_pieces())).before, Ids{1});
  const auto named = [](std::string_view name) {
    return model(small_pieces(), Message().message(2, Message().number(3, 2).text(46, name)));
  };
  EXPECT_EQ(parse_sentencepiece_model(named("</s>")).before, Ids{2});
  EXPECT_EQ(parse_sentencepiece_model(named("<bos>")).before, Ids{});
  EXPECT_EQ(parse_sentencepiece_model(named("a")).before, Ids{});
}

TEST(SentencePieceModel, UnknownCharactersBecomeOneTokenOrBytes) {
  std::vector<Message> pieces = small_pieces();
  EXPECT_EQ(model_ids(model(pieces), "xyaz\u3042"), (Ids{3, 0, 4, 0}));
  const char* digits = "0123456789ABCDEF";
  for (unsigned byte = 0; byte < 256; ++byte) {
    const std::string hex = {digits[byte / 16], digits[byte % 16]};
    pieces.push_back(piece("<0x" + hex + ">", 0, kByte));
  }
  const Message with_bytes = Message().message(2, Message().number(3, 2).number(35, 1));
  const std::string file = model(pieces, with_bytes);
  EXPECT_EQ(model_ids(file, "x\u3042"), (Ids{3, 9 + 'x', 9 + 0xE3, 9 + 0x81, 9 + 0x82}));
  EXPECT_EQ(BpeTokenizer(parse_sentencepiece_model(file)).bytes(9 + 0xE3), "\xE3");
  EXPECT_EQ(model_refusal(model(pieces)),
            "SentencePiece model: piece 9 \"<0x00>\" is of type BYTE, but there is no "
            "byte_fallback");
  pieces.pop_back();
  EXPECT_NE(bad_model([&] {
              BpeTokenizer(parse_sentencepiece_model(model(pieces, with_bytes)));
            }).find("SentencePiece model: vocab has no token \"<0xFF>\""),
            std::string::npos);
}

TEST(SentencePieceModel, NamesWhatIsNotSupported) {
  const auto with = [](unsigned field, const Message& spec) {
    return model_refusal(model(small_pieces(), Message().message(field, spec)));
  };
  EXPECT_EQ(with(2, {}),
            "SentencePiece model: model_type \"unigram\" is not supported; supported: bpe");
  EXPECT_EQ(with(2, Message().number(3, 4)),
            "SentencePiece model: model_type \"char\" is not supported; supported: bpe");
  EXPECT_EQ(with(2, Message().number(3, 0)),
            "SentencePiece model: model_type \"0\" is not supported; supported: bpe");
  EXPECT_EQ(with(2, Message().number(3, 2).number(24, 1)),
            "SentencePiece model: treat_whitespace_as_suffix is not supported");
  EXPECT_EQ(with(3, Message().number(5, 0)),
            "SentencePiece model: escape_whitespaces \"false\" is not supported; supported: true");
  EXPECT_EQ(with(5, Message().text(2, "x")),
            "SentencePiece model: denormalizer_spec with a precompiled_charsmap is not supported");
  EXPECT_EQ(with(3, Message().text(2, "x")), "precompiled_charsmap: has no size of its trie");
}

TEST(SentencePieceModel, NamesThePieceThatIsWrong) {
  const auto with = [](const Message& more) { return model_refusal(model(pieces_with(more))); };
  EXPECT_EQ(with(piece("x", 0, kUnused)),
            "SentencePiece model: piece 9 \"x\" is of type UNUSED, which is not supported");
  EXPECT_EQ(with(piece("x", 0, 0)), "SentencePiece model: piece 9 has type 0, expected 1 to 6");
  EXPECT_EQ(with(piece("x", 0, 7)), "SentencePiece model: piece 9 has type 7, expected 1 to 6");
  EXPECT_EQ(with(piece("ab", 0, kNormal)), "SentencePiece model: piece 9 \"ab\" is there twice");
  EXPECT_EQ(with(piece("x", std::nanf(""), kNormal)),
            "SentencePiece model: piece 9 \"x\" has a score that is not finite");
  EXPECT_EQ(with(piece("", 0, kNormal)),
            "SentencePiece model: piece 9 has 0 bytes, expected 1 to 7999");
  EXPECT_EQ(with(piece(std::string(8000, 'x'), 0, kNormal)),
            "SentencePiece model: piece 9 has 8000 bytes, expected 1 to 7999");
  EXPECT_EQ(with(piece("\xE3", 0, kNormal)), "SentencePiece model: piece 9 is not UTF-8");
  EXPECT_EQ(with(piece("<u>", 0, kUnknown)),
            "SentencePiece model: pieces 0 and 9 are both of type UNKNOWN");
  EXPECT_EQ(with(Message().number(1, 1)), "SentencePiece model: piece 9: field 1 is not bytes");
  EXPECT_EQ(model_refusal(model({piece("a", 0, kNormal)})),
            "SentencePiece model: has no piece of type UNKNOWN");
  EXPECT_EQ(model_refusal(""), "SentencePiece model: has no pieces");
}

}  // namespace
}  // namespace runner
