#include "main_llm/unit.h"

#include <gtest/gtest.h>

#include <future>

#include "protocol/json_writer.h"
#include "tests/main_llm/fakes.h"
#include "tests/runner/fake_engine.h"

namespace main_llm {
namespace {

using namespace fakes;
using runner::fakes::hashing_answers;
using runner::fakes::make_fake_model;

constexpr int kContext = 64;

// Holds whoever sends it something.
class HoldingSink : public FakeSink {
 public:
  void send(std::string line) override {
    gate.pass();
    FakeSink::send(std::move(line));
  }
  Gate gate;
};

class UnitTest : public ::testing::Test {
 protected:
  UnitTest() {
    add_model("three", hashing_answers(3));
    add_model("broken", [](const std::vector<int>& rows) -> runner::TokenId {
      if (runner::fakes::answer_length(rows) == 2) {
        throw runner::Error(runner::ErrorCode::kEngineFailed, "decode() failed: 0x8001");
      }
      return 'x';
    });
    // Holds before its second token.
    add_model("gated", [this](const std::vector<int>& rows) {
      if (runner::fakes::answer_length(rows) == 1) gate_.pass();
      return hashing_answers(3)(rows);
    });
  }
  ~UnitTest() override { gate_.open(); }

  void add_model(const std::string& name, runner::fakes::FakeEngine::NextToken next) {
    loader_.models[name] = make_fake_model(kContext, std::move(next)).model;
  }

  void send(const std::shared_ptr<FakeSink>& sink, const std::string& id,
            const std::string& work_id, const std::string& action, const std::string& object = "",
            const std::string& data = "") {
    protocol::Request request{id, work_id, action, object, protocol::DataKind::kAbsent, ""};
    if (!data.empty()) {
      request.data_kind =
          data.front() == '{' ? protocol::DataKind::kObject : protocol::DataKind::kString;
      request.data = data;
    }
    unit_.handle(request, sink);
  }

  // Sets up a task for `sink` and returns its work_id.
  std::string set_up(const std::shared_ptr<FakeSink>& sink, const std::string& model,
                     const std::string& more = "") {
    const std::size_t before = sink->count();
    send(sink, "setup", "llm", "setup", "llm.setup",
         R"({"model":")" + model + "\"" + (more.empty() ? more : "," + more) + "}");
    const ParsedReply reply = sink->wait(before + 1)[before];
    EXPECT_EQ(reply.code, 0) << reply.message;
    return reply.work_id;
  }

  static constexpr const char* kStream = R"("response_format":"llm.utf-8.stream")";

  Gate gate_;
  FakeHost host_;
  FakeLoader loader_;
  std::shared_ptr<FakeSink> client_ = std::make_shared<FakeSink>();
  std::shared_ptr<FakeSink> other_ = std::make_shared<FakeSink>();
  Unit unit_{host_, loader_, {}};
};

TEST_F(UnitTest, AnswersWholeAndStreamed) {
  const std::string whole = set_up(client_, "three");
  EXPECT_EQ(whole, "llm.1000");
  send(client_, "q", whole, "inference", "llm.utf-8", "hi");
  const ParsedReply answer = client_->wait(2)[1];
  EXPECT_EQ(answer.request_id, "q");
  EXPECT_EQ(answer.object, "llm.utf-8");
  EXPECT_EQ(answer.text.size(), 3U);

  const std::string stream = set_up(other_, "three", kStream);
  send(other_, "s", stream, "inference", "llm.utf-8", "hi");
  const auto frames = other_->wait(5);
  std::string joined;
  for (int i = 0; i < 4; ++i) {
    const ParsedReply& frame = frames[static_cast<std::size_t>(i) + 1];
    EXPECT_EQ(frame.index, i);
    EXPECT_EQ(frame.finish, i == 3);
    EXPECT_EQ(frame.object, "llm.utf-8.stream");
    joined += frame.text;
  }
  EXPECT_EQ(joined, answer.text);
}

TEST_F(UnitTest, AFailedSetupAnswersAsLlmAndReleasesItsNumber) {
  send(client_, "1", "llm", "setup", "llm.setup", R"({"model":"absent"})");
  const ParsedReply reply = client_->wait(1)[0];
  EXPECT_EQ(reply.code, -5);
  EXPECT_EQ(reply.work_id, "llm");
  EXPECT_EQ(reply.message, "Model loading failed.: model \"absent\" not found");
  EXPECT_TRUE(host_.registered.empty());
  EXPECT_EQ(set_up(client_, "three"), "llm.1001");
}

TEST_F(UnitTest, ASetupValueOutOfRangeFailsTheSetup) {
  for (const char* more : {R"("max_token_len":0)", R"("top_k":0)", R"("temperature":-1)",
                           R"("top_p":1.5)", R"("response_format":"text")"}) {
    auto sink = std::make_shared<FakeSink>();
    send(sink, "1", "llm", "setup", "llm.setup", std::string(R"({"model":"three",)") + more + "}");
    EXPECT_EQ(sink->wait(1)[0].code, -5) << more;
  }
  EXPECT_TRUE(host_.registered.empty());
}

TEST_F(UnitTest, OneTaskTooManyIsRefusedUntilOneExits) {
  set_up(client_, "three");
  const std::string second = set_up(client_, "three");
  send(client_, "3", "llm", "setup", "llm.setup", R"({"model":"three"})");
  EXPECT_EQ(client_->wait(3)[2].code, -21);
  send(client_, "4", second, "exit");
  EXPECT_EQ(client_->wait(4)[3].code, 0);
  set_up(client_, "three");
}

TEST_F(UnitTest, JobsRunInOrderAndOneTooManyIsRefused) {
  const std::string task = set_up(client_, "gated");
  for (int i = 0; i < 5; ++i) {
    send(i % 2 == 0 ? client_ : other_, "q" + std::to_string(i), task, "inference", "llm.utf-8",
         "hi");
  }
  const ParsedReply refused = client_->wait(2)[1];
  EXPECT_EQ(refused.request_id, "q4");
  EXPECT_EQ(refused.code, -11);
  EXPECT_EQ(refused.message, "Model run failed.: queue full: 3 inferences are waiting");
  gate_.open();
  const auto own = client_->wait(4);
  const auto others = other_->wait(2);
  EXPECT_EQ(own[2].request_id, "q0");
  EXPECT_EQ(own[3].request_id, "q2");
  EXPECT_EQ(others[0].request_id, "q1");
  EXPECT_EQ(others[1].request_id, "q3");
  EXPECT_EQ(own[3].text, others[0].text);
}

TEST_F(UnitTest, WhoeverReadsTheEndingFindsTheSlotFree) {
  const std::string task = set_up(client_, "three");
  Unit strict(host_, loader_, {.max_tasks = 1, .queue = 0});
  auto sink = std::make_shared<FakeSink>();
  strict.handle({"s", "llm", "setup", "", protocol::DataKind::kObject, R"({"model":"three"})"},
                sink);
  const std::string work_id = sink->wait(1)[0].work_id;
  for (std::size_t i = 1; i <= 200; ++i) {
    strict.handle({"q", work_id, "inference", "llm.utf-8", protocol::DataKind::kString, "hi"},
                  sink);
    ASSERT_EQ(sink->wait(i + 1)[i].code, 0) << i;
  }
}

TEST_F(UnitTest, PauseStopsTheRunningInferenceOnly) {
  const std::string task = set_up(client_, "gated", kStream);
  send(client_, "a", task, "inference", "llm.utf-8", "hi");
  gate_.wait_arrival();
  send(client_, "b", task, "inference", "llm.utf-8", "hi");
  send(client_, "p", task, "pause");
  gate_.open();
  // setup, a/0, pause, then a's ending and all of b
  const auto replies = client_->wait(3 + 2 + 4);
  std::map<std::string, std::vector<ParsedReply>> by_id;
  for (const auto& reply : replies) by_id[reply.request_id].push_back(reply);
  EXPECT_EQ(by_id["p"].at(0).code, 0);
  EXPECT_LT(by_id["a"].size(), 4U);
  EXPECT_TRUE(by_id["a"].back().finish);
  EXPECT_EQ(by_id["a"].back().code, 0);
  EXPECT_EQ(by_id["b"].size(), 4U);
}

TEST_F(UnitTest, ExitEndsTheRunningInferenceAndRefusesTheWaitingOnes) {
  const std::string task = set_up(client_, "gated", kStream);
  send(client_, "a", task, "inference", "llm.utf-8", "hi");
  gate_.wait_arrival();
  send(other_, "b", task, "inference", "llm.utf-8", "hi");
  send(client_, "x", task, "exit");
  const ParsedReply waiting = other_->wait(1)[0];
  EXPECT_EQ(waiting.code, -11);
  EXPECT_TRUE(waiting.finish);
  const auto before = client_->wait(3);  // setup, a/0, exit: not held up by the running step
  EXPECT_EQ(before[2].request_id, "x");
  send(client_, "late", task, "inference", "llm.utf-8", "hi");
  EXPECT_EQ(client_->wait(4)[3].code, -4);
  gate_.open();
  EXPECT_TRUE(client_->wait(6)[5].finish);
}

TEST_F(UnitTest, AnInferenceThatFailsEndsTheStreamWithTheError) {
  const std::string task = set_up(client_, "broken", kStream);
  send(client_, "a", task, "inference", "llm.utf-8", "hi");
  const auto frames = client_->wait(4);
  EXPECT_EQ(frames[3].code, -11);
  EXPECT_EQ(frames[3].message, "Model run failed.: decode() failed: 0x8001");
  EXPECT_EQ(frames[3].object, "llm.utf-8.stream");
  EXPECT_EQ(frames[3].index, 2);
  EXPECT_TRUE(frames[3].finish);
  EXPECT_EQ(host_.wait_published(3)[2].code, -11);
}

TEST_F(UnitTest, AnInferenceThatFailsWithoutStreamIsOneErrorAndNotPublished) {
  const std::string task = set_up(client_, "broken");
  send(client_, "a", task, "inference", "llm.utf-8", "hi");
  const ParsedReply reply = client_->wait(2)[1];
  EXPECT_EQ(reply.code, -11);
  EXPECT_EQ(reply.object, "None");
  EXPECT_EQ(reply.data, "\"None\"");
  EXPECT_TRUE(host_.wait_published(0).empty());
}

TEST_F(UnitTest, WithoutEnoutputResultsAreOnlyPublishedAndErrorsStillSent) {
  const std::string task = set_up(client_, "three", R"("enoutput":false)");
  send(client_, "a", task, "inference", "llm.utf-8", "hi");
  EXPECT_EQ(host_.wait_published(1)[0].request_id, "a");
  send(client_, "b", task, "inference", "llm.utf-8", "");
  EXPECT_EQ(client_->wait(2)[1].request_id, "b");
}

TEST_F(UnitTest, AGoneSendersJobIsCancelled) {
  const std::string task = set_up(other_, "gated", kStream);
  send(client_, "a", task, "inference", "llm.utf-8", "hi");
  send(client_, "b", task, "inference", "llm.utf-8", "hi");
  send(other_, "c", task, "inference", "llm.utf-8", "hi");
  gate_.wait_arrival();
  client_->close();
  unit_.sender_gone(client_);
  gate_.open();
  EXPECT_TRUE(other_->wait(5)[4].finish);
  const auto published = host_.wait_published(6);  // a: a piece and its ending, b: nothing, c: all
  EXPECT_EQ(published[0].request_id, "a");
  EXPECT_TRUE(published[1].finish || published[2].finish);
  for (const auto& line : published) EXPECT_NE(line.request_id, "b");
}

TEST_F(UnitTest, AGoneSendersJobGoesOnWhileSomeoneSubscribes) {
  const std::string task = set_up(other_, "gated", kStream);
  host_.subscribers = true;
  send(client_, "a", task, "inference", "llm.utf-8", "hi");
  gate_.wait_arrival();
  client_->close();
  unit_.sender_gone(client_);
  gate_.open();
  EXPECT_TRUE(host_.wait_published(4)[3].finish);
}

TEST_F(UnitTest, StreamedInputsAreKeptApartBySenderAndRequest) {
  const std::string task = set_up(client_, "three");
  const auto frame = [](int index, bool finish, const char* delta) {
    return protocol::stream_data(static_cast<std::uint64_t>(index), finish, delta);
  };
  send(client_, "q", task, "inference", "llm.utf-8.stream", frame(0, false, "a"));
  send(other_, "q", task, "inference", "llm.utf-8.stream", frame(0, false, "b"));
  send(client_, "r", task, "inference", "llm.utf-8.stream", frame(0, false, "c"));
  send(client_, "q", task, "inference", "llm.utf-8.stream", frame(1, true, "z"));
  send(other_, "q", task, "inference", "llm.utf-8.stream", frame(1, true, "z"));
  send(client_, "w", task, "inference", "llm.utf-8", "az");
  send(client_, "v", task, "inference", "llm.utf-8", "bz");
  const auto own = client_->wait(4);
  EXPECT_EQ(own[1].text, own[2].text) << "az";
  EXPECT_EQ(other_->wait(1)[0].text, own[3].text) << "bz";
}

TEST_F(UnitTest, TooManyOpenStreamsPushOutTheOldestWithAnError) {
  const std::string task = set_up(client_, "three");
  for (int i = 0; i <= 16; ++i) {
    send(client_, "q" + std::to_string(i), task, "inference", "llm.utf-8.stream",
         protocol::stream_data(0, false, "a"));
  }
  const ParsedReply reply = client_->wait(2)[1];
  EXPECT_EQ(reply.request_id, "q0");
  EXPECT_EQ(reply.code, -25);
}

TEST_F(UnitTest, WrongWorkIdsAndActionsAreNamed) {
  const struct {
    const char* work_id;
    const char* action;
    int code;
  } cases[] = {
      {"llm", "inference", -4},      {"llm.1", "inference", -4}, {"llm.abc", "taskinfo", -6},
      {"llm.01000", "taskinfo", -6}, {"llm", "exit", -6},        {"llm.", "pause", -6},
      {"llm.-1", "work", -6},        {"llm.1000x", "link", -6},  {"llm.99999999999", "unlink", -6},
      {"llm", "dance", -18},         {"llm.1000", "", -18}};
  std::size_t count = 0;
  for (const auto& [work_id, action, code] : cases) {
    send(client_, "q", work_id, action);
    const ParsedReply reply = client_->wait(count + 1)[count];
    ++count;
    EXPECT_EQ(reply.code, code) << work_id << ' ' << action;
    EXPECT_EQ(reply.work_id, work_id);
  }
}

TEST_F(UnitTest, TaskinfoTellsTheTasksAndOneTask) {
  send(client_, "1", "llm", "taskinfo");
  const std::string task = set_up(client_, "three", R"("input":["llm.utf-8","asr.1001"])");
  send(client_, "2", "llm", "taskinfo");
  send(client_, "3", task, "taskinfo");
  const auto replies = client_->wait(4);
  EXPECT_EQ(replies[0].object, "llm.tasklist");
  EXPECT_EQ(replies[0].data, "[]");
  EXPECT_EQ(replies[2].data, R"(["llm.1000"])");
  EXPECT_EQ(replies[3].object, "llm.taskinfo");
  EXPECT_EQ(replies[3].data,
            R"({"model":"three","response_format":"llm.utf-8","enoutput":true,)"
            R"("inputs":["llm.utf-8","asr.1001"],"hidden_size":2,"context_length":64,)"
            R"("engine":"fake"})");
}

TEST_F(UnitTest, DropTasksReportsWhenAllAreGone) {
  set_up(client_, "three");
  set_up(client_, "three");
  std::promise<void> done;
  unit_.drop_tasks([&] {
    EXPECT_TRUE(host_.registered.empty());
    done.set_value();
  });
  EXPECT_TRUE(unit_.work_ids().empty());
  EXPECT_EQ(done.get_future().wait_for(kDeadline), std::future_status::ready);
}

// llm-sys goes while the program ends: two threads drop the same tasks.
TEST_F(UnitTest, DropTasksWaitsForTasksThatAnotherThreadIsDropping) {
  const auto held = std::make_shared<HoldingSink>();
  const std::string task = set_up(client_, "gated");
  send(client_, "runs", task, "inference", "llm.utf-8", "hi");
  gate_.wait_arrival();
  send(held, "waits", task, "inference", "llm.utf-8", "hi");
  const auto first = std::async(std::launch::async, [&] { unit_.drop_tasks([] {}); });
  held->gate.wait_arrival();  // the first one is about to close the task

  std::promise<void> done;
  const auto second = std::async(std::launch::async, [&] {
    unit_.drop_tasks([&] {
      EXPECT_TRUE(host_.registered.empty());
      done.set_value();
    });
  });
  auto dropped = done.get_future();
  EXPECT_EQ(dropped.wait_for(std::chrono::milliseconds(100)), std::future_status::timeout);
  held->gate.open();
  gate_.open();
  EXPECT_EQ(dropped.wait_for(kDeadline), std::future_status::ready);
}

TEST_F(UnitTest, EndRefusesSetups) {
  set_up(client_, "three");
  std::promise<void> ended;
  unit_.end([&] { ended.set_value(); });
  send(client_, "late", "llm", "setup", "llm.setup", R"({"model":"three"})");
  EXPECT_EQ(ended.get_future().wait_for(kDeadline), std::future_status::ready);
  const ParsedReply reply = client_->wait(2)[1];
  EXPECT_EQ(reply.code, -5);
  EXPECT_NE(reply.message.find("the program is ending"), std::string::npos) << reply.message;
  EXPECT_TRUE(unit_.work_ids().empty());
}

TEST_F(UnitTest, ContextModelsKeepTheConversationUntilReset) {
  const std::string task = set_up(client_, "three", R"("precompute_len":16)");
  for (const char* text : {"a", "a", "reset", "a"}) {
    send(client_, text, task, "inference", "llm.utf-8", text);
  }
  const auto replies = client_->wait(5);
  EXPECT_NE(replies[1].text, replies[2].text);
  EXPECT_EQ(replies[3].text, "Context has been reset.");
  EXPECT_EQ(replies[4].text, replies[1].text);
}

TEST_F(UnitTest, ASeedMakesSamplingRepeatable) {
  const std::string task = set_up(client_, "three", R"("seed":7,"temperature":5,"top_k":400)");
  for (int i = 0; i < 3; ++i) send(client_, "q", task, "inference", "llm.utf-8", "hi");
  const auto replies = client_->wait(4);
  EXPECT_EQ(replies[1].text, replies[2].text);
  EXPECT_EQ(replies[1].text, replies[3].text);
}

}  // namespace
}  // namespace main_llm
