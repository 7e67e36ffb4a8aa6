#include "runner/session.h"

#include <gtest/gtest.h>

#include "tests/runner/fake_engine.h"

namespace runner {
namespace {

using namespace fakes;
using Calls = FakeEngine::Calls;

std::shared_ptr<const SoftPrefix> soft_rows(int rows) {
  return std::make_shared<const SoftPrefix>(
      std::vector<Bf16>(static_cast<std::size_t>(rows * kHidden), to_bf16(0.5F)), kHidden);
}

std::vector<TokenId> turn(std::string_view text) { return FakeEncoder().encode_turn(text, ""); }

class SessionTest : public ::testing::Test {
 protected:
  Session make(int context, FakeEngine::NextToken next, bool keep_conversation = false) {
    return Session(std::make_unique<FakeEngine>(context, std::move(next), calls_),
                   fake_embeddings(), encoder_, keep_conversation);
  }
  GenerationResult ask(Session& session, std::string_view text,
                       const std::shared_ptr<const SoftPrefix>& prefix = nullptr,
                       const GenerationOptions& options = greedy()) {
    calls_->clear();
    return session.generate(turn(text), prefix, options, {}, {});
  }

  std::shared_ptr<Calls> calls_ = std::make_shared<Calls>();
  FakeEncoder encoder_;
};

TEST_F(SessionTest, TheHeadIsComputedOnceAndKept) {
  Session session = make(64, hashing_answers(3));
  session.restart({1, 2, 3});
  const auto first = ask(session, "hi");
  EXPECT_EQ(*calls_, (Calls{"append 3", "prefill 3", "decode", "decode", "decode"}));
  EXPECT_EQ(first.finish, FinishReason::kStopToken);
  EXPECT_EQ(first.text.size(), 3U);
  EXPECT_EQ(first.prompt_rows, 6);

  const auto second = ask(session, "hi");
  EXPECT_EQ(*calls_, (Calls{"prefill 3", "decode", "decode", "decode"}));
  EXPECT_EQ(second.text, first.text);
  EXPECT_EQ(second.computed_rows, 3);
}

TEST_F(SessionTest, APrefixChangesOneAnswerAndLeavesNoTrace) {
  Session session = make(64, hashing_answers(5));
  session.restart({1, 2, 3});
  const auto plain = ask(session, "hi");
  const auto prefixed = ask(session, "hi", soft_rows(2));
  EXPECT_EQ(calls_->front(), "append 5") << "prefix and head are one call, as the head alone is";
  EXPECT_EQ(prefixed.prompt_rows, 8);
  EXPECT_NE(prefixed.text, plain.text);
  EXPECT_EQ(ask(session, "hi").text, plain.text);
  EXPECT_EQ(calls_->front(), "append 3") << "the head is computed anew, as at first";
}

TEST_F(SessionTest, APrefixOfTheSameValuesKeepsTheCache) {
  Session session = make(64, hashing_answers(2));
  session.restart({1, 2, 3});
  const auto first = ask(session, "hi", soft_rows(2));
  EXPECT_EQ(ask(session, "hi", soft_rows(2)).text, first.text);
  EXPECT_EQ(*calls_, (Calls{"prefill 3", "decode", "decode"}));
}

TEST_F(SessionTest, KeptTurnsFollowOneAnother) {
  Session session = make(64, hashing_answers(2), true);
  session.restart({9});
  ask(session, "a");
  EXPECT_EQ(session.tokens(), 1 + 2 + 2);
  ask(session, "b");
  EXPECT_EQ(*calls_, (Calls{"prefill 2", "decode", "decode"}));
  EXPECT_EQ(session.tokens(), 1 + 4 + 4);
}

TEST_F(SessionTest, KeptTurnsEqualTheSameRowsFromScratch) {
  Session kept = make(64, hashing_answers(3), true);
  kept.restart({9});
  const auto first = ask(kept, "ab");
  const auto second = ask(kept, "cd");

  Session fresh = make(64, hashing_answers(3));
  std::vector<TokenId> all = turn("ab");
  all.insert(all.end(), first.tokens.begin(), first.tokens.end());
  for (const TokenId id : turn("cd")) all.push_back(id);
  fresh.restart({9});
  EXPECT_EQ(fresh.generate(all, nullptr, greedy(), {}, {}).text, second.text);
}

TEST_F(SessionTest, ALastTokenNotYetInTheCacheIsFedWithTheNextTurn) {
  Session session = make(64, hashing_answers(9), true);
  GenerationOptions two = greedy();
  two.max_new_tokens = 2;
  const auto first = ask(session, "a", nullptr, two);
  EXPECT_EQ(first.finish, FinishReason::kLength);
  EXPECT_EQ(*calls_, (Calls{"prefill 2", "decode"}));
  ask(session, "b", nullptr, two);
  EXPECT_EQ(*calls_, (Calls{"prefill 3", "decode"}));
}

TEST_F(SessionTest, AKeptConversationSurvivesAForeignPrefix) {
  Session session = make(64, hashing_answers(2), true);
  session.restart({9});
  ask(session, "a");
  ask(session, "b", soft_rows(1));
  EXPECT_EQ(*calls_, (Calls{"append 2", "prefill 6", "decode", "decode"}));
  ask(session, "c");
  EXPECT_EQ(*calls_, (Calls{"append 1", "prefill 10", "decode", "decode"}));
}

TEST_F(SessionTest, AReplacedTurnKeepsTheRowsThatStillStand) {
  Session session = make(64, hashing_answers(3), true);
  session.restart({9});
  session.replace_last_turn(turn("x"));
  EXPECT_EQ(session.tokens(), 1) << "there is no turn yet";
  ask(session, "a");
  ask(session, "b");
  std::vector<TokenId> rewritten = turn("b");
  rewritten.push_back('z');
  session.replace_last_turn(rewritten);
  EXPECT_EQ(session.tokens(), 1 + 5 + 3);
  const auto kept = ask(session, "c");
  EXPECT_EQ(calls_->front(), "prefill 3")
      << "z, c and the mark; what stands before is in the cache";

  Session fresh = make(64, hashing_answers(3), true);
  fresh.restart({9});
  ask(fresh, "a");
  rewritten.push_back('c');
  rewritten.push_back(kAnswerMark);
  EXPECT_EQ(fresh.generate(rewritten, nullptr, greedy(), {}, {}).text, kept.text);
}

TEST_F(SessionTest, AfterAnInferenceThatKeptNothingNoTurnIsReplaced) {
  Session session = make(64, hashing_answers(3), true);
  ask(session, "a");
  std::stop_source stopped;
  stopped.request_stop();
  session.generate(turn("b"), nullptr, greedy(), {}, stopped.get_token());
  const int tokens = session.tokens();
  session.replace_last_turn(turn("long"));
  EXPECT_EQ(session.tokens(), tokens);
}

TEST_F(SessionTest, AFullContextStillGivesOneToken) {
  Session session = make(8, hashing_answers(99));
  const auto result = ask(session, "1234567");  // 8 rows
  EXPECT_EQ(result.tokens.size(), 1U);
  EXPECT_EQ(result.finish, FinishReason::kLength);
  EXPECT_EQ(ask(session, "123456").tokens.size(), 2U);
}

TEST_F(SessionTest, OneRowTooManyIsRefusedNamingBothNumbers) {
  Session session = make(8, hashing_answers(99));
  try {
    ask(session, "12345678");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kPromptTooLong);
    EXPECT_STREQ(error.what(), "the prompt has 9 tokens, context_length is 8");
  }
  EXPECT_TRUE(calls_->empty());
}

TEST_F(SessionTest, OneRowTooManyBehindAPrefixIsThePrefixsError) {
  Session session = make(8, hashing_answers(99));
  EXPECT_EQ(ask(session, "12345", soft_rows(2)).tokens.size(), 1U);
  try {
    ask(session, "12345", soft_rows(3));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadSoftPrefix);
    EXPECT_STREQ(error.what(), "3 soft prefix rows + 6 prompt tokens = 9, context_length is 8");
  }
}

TEST_F(SessionTest, APrefixOfAnotherWidthIsRefused) {
  Session session = make(8, hashing_answers(1));
  const auto wide = std::make_shared<const SoftPrefix>(std::vector<Bf16>(6), 3);
  EXPECT_THROW(ask(session, "1", wide), Error);
}

TEST_F(SessionTest, TheTotalLimitCountsTokensOfPromptAndAnswerButGivesAtLeastOne) {
  Session session = make(64, hashing_answers(99));
  GenerationOptions options = greedy();
  options.max_total_tokens = 10;
  EXPECT_EQ(ask(session, "123", nullptr, options).tokens.size(), 6U);
  EXPECT_EQ(ask(session, "123", soft_rows(3), options).tokens.size(), 6U);
  EXPECT_EQ(ask(session, "123456789", nullptr, options).tokens.size(), 1U);
  EXPECT_EQ(ask(session, "1234567890123", nullptr, options).tokens.size(), 1U);
}

TEST_F(SessionTest, AStopBetweenTokensEndsWithTheTextSoFar) {
  Session session = make(64, hashing_answers(99));
  std::stop_source stop;
  int pieces = 0;
  const auto result = session.generate(
      turn("hi"), nullptr, greedy(),
      [&](std::string_view) {
        if (++pieces == 3) stop.request_stop();
      },
      stop.get_token());
  EXPECT_EQ(result.finish, FinishReason::kCancelled);
  EXPECT_EQ(result.text.size(), 3U);
  EXPECT_EQ(std::count(calls_->begin(), calls_->end(), "decode"), 2) << "none after the stop";
}

TEST_F(SessionTest, AStopDuringPrefillLeavesTheConversationAsItWas) {
  Session session = make(64, hashing_answers(2), true);
  ask(session, "a");
  const int tokens = session.tokens();
  std::stop_source stopped;
  stopped.request_stop();
  const auto result = session.generate(turn("b"), nullptr, greedy(), {}, stopped.get_token());
  EXPECT_EQ(result.finish, FinishReason::kCancelled);
  EXPECT_TRUE(result.tokens.empty());
  EXPECT_EQ(session.tokens(), tokens);
}

TEST_F(SessionTest, AnAnswerWithoutTextLeavesTheConversationAsItWas) {
  Session session = make(64, hashing_answers(0), true);
  ask(session, "a");
  EXPECT_FALSE(session.has_history());
}

TEST_F(SessionTest, AThrowingEngineLeavesTheConversationAsItWas) {
  bool broken = false;
  Session session = make(
      64,
      [&](const std::vector<int>& rows) {
        if (broken && answer_length(rows) == 1) throw Error(ErrorCode::kEngineFailed, "broken");
        return hashing_answers(3)(rows);
      },
      true);
  session.restart({9});
  ask(session, "a");
  const int tokens = session.tokens();
  broken = true;
  EXPECT_THROW(ask(session, "b"), Error);
  EXPECT_EQ(session.tokens(), tokens);
  broken = false;
  ask(session, "b");
  EXPECT_EQ((Calls{calls_->begin(), calls_->begin() + 2}), (Calls{"append 1", "prefill 7"}))
      << "nothing of a cache that may be broken is used";
}

TEST_F(SessionTest, IgnoreStopGoesOnToTheLimit) {
  Session session = make(64, hashing_answers(1));
  GenerationOptions options = greedy();
  options.ignore_stop = true;
  options.max_new_tokens = 4;
  EXPECT_EQ(ask(session, "a", nullptr, options).tokens.size(), 4U);
}

TEST_F(SessionTest, TokensOutsideTheTableAreRefused) {
  Session session = make(64, hashing_answers(1));
  for (const TokenId bad : {-1, kVocab}) {
    EXPECT_THROW(session.generate(std::vector<TokenId>{bad}, nullptr, greedy(), {}, {}), Error);
  }
  EXPECT_THROW(session.generate({}, nullptr, greedy(), {}, {}), Error);
}

}  // namespace
}  // namespace runner
