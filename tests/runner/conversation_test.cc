#include "runner/conversation.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/runner/fake_engine.h"

namespace runner {
namespace {

using namespace fakes;
using Calls = FakeEngine::Calls;

TEST(Conversation, TurnsStandAloneUnlessKept) {
  const FakeModel fake = make_fake_model(64, hashing_answers(2));
  Conversation conversation(fake.model, {.system = "sys"}, false);
  const auto first = conversation.ask("a", nullptr, greedy(), {}, {});
  const auto second = conversation.ask("a", nullptr, greedy(), {}, {});
  EXPECT_EQ(first.text, second.text);
  EXPECT_EQ(second.prompt_rows, 5);
}

TEST(Conversation, AKeptTurnClosesTheReplyBeforeIt) {
  const FakeModel fake = make_fake_model(64, hashing_answers(2));
  Conversation conversation(fake.model, {.system = "sys"}, true);
  conversation.ask("a", nullptr, greedy(), {}, {});
  fake.calls->clear();
  conversation.ask("b", nullptr, greedy(), {}, {});
  EXPECT_EQ(fake.calls->front(), "prefill 3") << "end of reply, b, answer mark";
}

TEST(Conversation, ResetForgetsAllButTheSystemPrompt) {
  const FakeModel fake = make_fake_model(64, hashing_answers(2));
  Conversation conversation(fake.model, {.system = "sys"}, true);
  const auto first = conversation.ask("a", nullptr, greedy(), {}, {});
  conversation.ask("b", nullptr, greedy(), {}, {});
  conversation.reset();
  fake.calls->clear();
  EXPECT_EQ(conversation.ask("a", nullptr, greedy(), {}, {}).text, first.text);
  EXPECT_EQ(fake.calls->front(), "prefill 2") << "the system prompt is still computed";
}

TEST(Conversation, AFullConversationIsForgottenAndTheTurnGoesOn) {
  const FakeModel fake = make_fake_model(16, hashing_answers(2));
  Conversation conversation(fake.model, {.system = "sys"}, true);
  const auto first = conversation.ask("aaa", nullptr, greedy(), {}, {});  // 3 + 4 + 2 = 9
  EXPECT_EQ(conversation.ask("bbb", nullptr, greedy(), {}, {}).prompt_rows, 14);
  const auto third = conversation.ask("aaa", nullptr, greedy(), {}, {});
  EXPECT_EQ(third.prompt_rows, 7);
  EXPECT_EQ(third.text, first.text);
}

TEST(Conversation, ATurnThatNeverFitsIsRefusedAndTheNextOneWorks) {
  const FakeModel fake = make_fake_model(16, hashing_answers(2));
  Conversation conversation(fake.model, {.system = "sys"}, true);
  const auto first = conversation.ask("a", nullptr, greedy(), {}, {});
  EXPECT_THROW(conversation.ask(std::string(20, 'x'), nullptr, greedy(), {}, {}), Error);
  EXPECT_EQ(conversation.ask("a", nullptr, greedy(), {}, {}).text, first.text);
}

TEST(Conversation, TheTotalLimitCountsAsFullToo) {
  const FakeModel fake = make_fake_model(64, hashing_answers(2));
  Conversation conversation(fake.model, {}, true);
  GenerationOptions options = greedy();
  options.max_total_tokens = 8;
  conversation.ask("aa", nullptr, options, {}, {});                            // 3 + 2 = 5
  EXPECT_EQ(conversation.ask("bb", nullptr, options, {}, {}).prompt_rows, 3);  // not 5 + 4
}

// An encoder of a model that thinks, first 't' and then its answer: later turns find the turn
// before in capitals and without that.
class ForgetfulEncoder : public FakeEncoder {
 public:
  std::optional<std::vector<TokenId>> past_turn(std::string_view user, std::string_view last_reply,
                                                std::string_view reply) override {
    std::vector<TokenId> ids = encode_turn(user, last_reply);
    for (const char c : reply.substr(1)) ids.push_back(c - 'a' + 'A');
    return ids;
  }
};

// The last rows of the fake cache, as text; what is no letter as a dot.
struct Watched {
  FakeModel fake;
  std::shared_ptr<std::string> rows = std::make_shared<std::string>();
};

Watched make_forgetful_model(int context) {
  Watched watched;
  const auto next = hashing_answers(3);
  watched.fake = make_fake_model(context, [next, rows = watched.rows](const std::vector<int>& all) {
    rows->clear();
    for (const int row : all) *rows += row > 0 && row < 128 ? static_cast<char>(row) : '.';
    return next(all);
  });
  auto model = std::make_shared<Model>(*watched.fake.model);
  model->new_prompt_encoder = [](const PromptOptions&) {
    return std::make_unique<ForgetfulEncoder>();
  };
  watched.fake.model = model;
  return watched;
}

std::string in_capitals(const std::string& answer) {
  std::string text = answer.substr(1);
  for (char& c : text) c = static_cast<char>(c - 'a' + 'A');
  return text;
}

TEST(Conversation, LaterTurnsFindAnswersAsTheTemplateRewritesThem) {
  const Watched watched = make_forgetful_model(64);
  Conversation conversation(watched.fake.model, {.system = "s"}, true);
  const auto first = conversation.ask("a", nullptr, greedy(), {}, {});
  watched.fake.calls->clear();
  GenerationOptions one = greedy();
  one.max_new_tokens = 1;
  const auto second = conversation.ask("b", nullptr, one, {}, {});
  EXPECT_EQ(*watched.rows, "sa." + in_capitals(first.text) + ".b.");
  EXPECT_EQ(*watched.fake.calls, Calls{"prefill 5"}) << "the rows of s, a and the mark are kept";
  EXPECT_EQ(second.computed_rows, 5);
}

TEST(Conversation, ARewrittenTurnIsTheSameBehindASoftPrefixAndAfterAStop) {
  const auto answer_to_c = [](const std::shared_ptr<const SoftPrefix>& prefix, bool stops) {
    const Watched watched = make_forgetful_model(64);
    Conversation conversation(watched.fake.model, {.system = "s"}, true);
    conversation.ask("a", nullptr, greedy(), {}, {});
    if (stops) {
      std::stop_source stop;
      stop.request_stop();
      conversation.ask("x", nullptr, greedy(), {}, stop.get_token());
    }
    if (prefix) {
      EXPECT_THROW(conversation.ask("x", prefix, greedy(), {}, {}), Error);
    }
    const auto result = conversation.ask("c", nullptr, greedy(), {}, {});
    return result.text + " " + *watched.rows;
  };
  const auto too_wide = std::make_shared<const SoftPrefix>(std::vector<Bf16>(3), 3);
  const std::string plain = answer_to_c(nullptr, false);
  EXPECT_EQ(answer_to_c(nullptr, true), plain);
  EXPECT_EQ(answer_to_c(too_wide, false), plain);

  // An answer behind a prefix is rewritten too, and the next one is as without the prefix's rows.
  const auto prefix =
      std::make_shared<const SoftPrefix>(std::vector<Bf16>(kHidden, to_bf16(0.5F)), kHidden);
  const Watched watched = make_forgetful_model(64);
  Conversation conversation(watched.fake.model, {.system = "s"}, true);
  const auto first = conversation.ask("a", prefix, greedy(), {}, {});
  GenerationOptions one = greedy();
  one.max_new_tokens = 1;
  conversation.ask("b", prefix, one, {}, {});
  EXPECT_EQ(*watched.rows, ".sa." + in_capitals(first.text) + ".b.");
  conversation.ask("c", nullptr, one, {}, {});
  EXPECT_TRUE(watched.rows->starts_with("sa." + in_capitals(first.text) + ".b."));
}

}  // namespace
}  // namespace runner
