#include "runner/conversation.h"

#include <gtest/gtest.h>

#include "tests/runner/fake_engine.h"

namespace runner {
namespace {

using namespace fakes;
using Calls = FakeEngine::Calls;

TEST(Conversation, TurnsStandAloneUnlessKept) {
  const FakeModel fake = make_fake_model(64, hashing_answers(2));
  Conversation conversation(fake.model, "sys", false);
  const auto first = conversation.ask("a", nullptr, greedy(), {}, {});
  const auto second = conversation.ask("a", nullptr, greedy(), {}, {});
  EXPECT_EQ(first.text, second.text);
  EXPECT_EQ(second.prompt_rows, 5);
}

TEST(Conversation, AKeptTurnClosesTheReplyBeforeIt) {
  const FakeModel fake = make_fake_model(64, hashing_answers(2));
  Conversation conversation(fake.model, "sys", true);
  conversation.ask("a", nullptr, greedy(), {}, {});
  fake.calls->clear();
  conversation.ask("b", nullptr, greedy(), {}, {});
  EXPECT_EQ(fake.calls->front(), "prefill 3") << "end of reply, b, answer mark";
}

TEST(Conversation, ResetForgetsAllButTheSystemPrompt) {
  const FakeModel fake = make_fake_model(64, hashing_answers(2));
  Conversation conversation(fake.model, "sys", true);
  const auto first = conversation.ask("a", nullptr, greedy(), {}, {});
  conversation.ask("b", nullptr, greedy(), {}, {});
  conversation.reset();
  fake.calls->clear();
  EXPECT_EQ(conversation.ask("a", nullptr, greedy(), {}, {}).text, first.text);
  EXPECT_EQ(fake.calls->front(), "prefill 2") << "the system prompt is still computed";
}

TEST(Conversation, AFullConversationIsForgottenAndTheTurnGoesOn) {
  const FakeModel fake = make_fake_model(16, hashing_answers(2));
  Conversation conversation(fake.model, "sys", true);
  const auto first = conversation.ask("aaa", nullptr, greedy(), {}, {});  // 3 + 4 + 2 = 9
  EXPECT_EQ(conversation.ask("bbb", nullptr, greedy(), {}, {}).prompt_rows, 14);
  const auto third = conversation.ask("aaa", nullptr, greedy(), {}, {});
  EXPECT_EQ(third.prompt_rows, 7);
  EXPECT_EQ(third.text, first.text);
}

TEST(Conversation, ATurnThatNeverFitsIsRefusedAndTheNextOneWorks) {
  const FakeModel fake = make_fake_model(16, hashing_answers(2));
  Conversation conversation(fake.model, "sys", true);
  const auto first = conversation.ask("a", nullptr, greedy(), {}, {});
  EXPECT_THROW(conversation.ask(std::string(20, 'x'), nullptr, greedy(), {}, {}), Error);
  EXPECT_EQ(conversation.ask("a", nullptr, greedy(), {}, {}).text, first.text);
}

TEST(Conversation, TheTotalLimitCountsAsFullToo) {
  const FakeModel fake = make_fake_model(64, hashing_answers(2));
  Conversation conversation(fake.model, "", true);
  GenerationOptions options = greedy();
  options.max_total_tokens = 8;
  conversation.ask("aa", nullptr, options, {}, {});                            // 3 + 2 = 5
  EXPECT_EQ(conversation.ask("bb", nullptr, options, {}, {}).prompt_rows, 3);  // not 5 + 4
}

}  // namespace
}  // namespace runner
