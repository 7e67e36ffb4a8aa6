#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "main_llm/answer.h"
#include "main_llm/request_data.h"
#include "protocol/stream_input.h"
#include "protocol/unit_host.h"
#include "runner/conversation.h"
#include "runner/model.h"

namespace main_llm {

// A client's request, for replies to come.
struct Requester {
  std::weak_ptr<protocol::ReplySink> sink;  // not held: see ReplySink
  std::string request_id;
};

// One set-up model: a conversation, a worker thread that runs its inferences in the order they
// came, and a bounded queue before it. Every inference handed in gets its results or exactly one
// error, at its own sender.
//
// Threads: all public functions may be called from any thread and do not wait for the worker,
// except the destructor.
class Task {
 public:
  // Makes the conversation (its K/V cache) and starts the worker. `host` must outlive the task;
  // at most `queue_limit` inferences wait behind the running one. Throws runner::Error.
  Task(std::string work_id, SetupRequest setup, std::shared_ptr<const runner::Model> model,
       protocol::UnitHost& host, int queue_limit);

  // Closes and waits for the worker, at most one step of the engine.
  ~Task();

  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  // Takes an inference request: queues it, collects it (streamed input that goes on), or answers
  // what is wrong with it.
  void infer(const protocol::Request& request, const protocol::ReplySinkPtr& sink);

  // Takes what a speech unit published (finished_utterance()): what was said becomes an inference
  // of the client that last asked for something, cancelled by nobody's going.
  void hear(std::string_view message);

  // Who gets the answers to what is heard, until the next infer().
  void set_requester(Requester requester);

  // Keeps the subscription to another unit's output as an input named `source`, and ends it.
  // Unknown sources are ignored. May wait for a callback of the subscription.
  void link(const std::string& source, std::unique_ptr<protocol::Subscription> subscription);
  void unlink(const std::string& source);

  // Stops the inference that is running, or else the one about to run; its ending still comes.
  void pause();

  // The sender of some inferences has gone: they are cancelled unless someone subscribes to the
  // task's output.
  void sender_gone(const protocol::ReplySinkPtr& sink);

  // Ends the task: the running inference gets its ending with the text so far, each waiting one
  // an error; nothing is accepted any more.
  void close();

  const std::string& work_id() const { return work_id_; }

  // The `data` of a taskinfo reply.
  std::string info_json() const;

 private:
  struct Job {
    AnswerTarget target;
    std::string text;
    std::shared_ptr<const runner::SoftPrefix> prefix;
    bool is_heard = false;  // not asked by a client
    std::stop_source stop;
  };
  // Streamed inputs are kept apart by sender and request_id.
  using StreamKey = std::pair<protocol::ReplySinkPtr, std::string>;
  struct OpenStream {
    StreamKey key;
    protocol::StreamCollector collector;
  };

  // How an inference ended, to be written once the task counts as free again.
  struct Ending {
    std::string text;
    std::optional<protocol::WireError> error;
  };

  std::optional<InferenceInput> collect(const protocol::Request& request,
                                        const protocol::ReplySinkPtr& sink);
  void enqueue(Job job);
  void run();
  bool is_abandoned(const Job& job) const;
  Ending run_job(const Job& job, Answer& answer);
  std::string generate(const Job& job, Answer& answer);
  AnswerTarget target_of(const protocol::ReplySinkPtr& sink, const std::string& request_id) const;
  void fail(AnswerTarget target, const protocol::WireError& error);

  const std::string work_id_;
  const SetupRequest setup_;
  const std::shared_ptr<const runner::Model> model_;
  protocol::UnitHost& host_;
  const std::size_t queue_limit_;
  const bool keep_conversation_;
  runner::GenerationOptions generation_;
  std::shared_ptr<const runner::SoftPrefix> default_prefix_;
  runner::Conversation conversation_;  // the worker's

  mutable std::mutex links_mutex_;
  std::vector<std::string> inputs_;
  std::map<std::string, std::unique_ptr<protocol::Subscription>> links_;  // by source
  Requester requester_;

  std::mutex streams_mutex_;
  std::deque<OpenStream> streams_;  // oldest first

  std::mutex jobs_mutex_;
  std::condition_variable jobs_changed_;
  std::deque<Job> waiting_;
  std::optional<std::stop_source> running_;  // of the inference that runs now
  protocol::ReplySinkPtr running_sink_;      // and its sender, unless it was heard
  bool closed_ = false;

  std::jthread worker_;  // last: it uses everything above
};

}  // namespace main_llm
