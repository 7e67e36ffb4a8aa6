#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "main_llm/model_loader.h"
#include "protocol/json_reader.h"
#include "protocol/unit_host.h"
#include "runner/error.h"

namespace main_llm::fakes {

constexpr auto kDeadline = std::chrono::seconds(20);

// A reply taken apart.
struct ParsedReply {
  std::string request_id, work_id, object, message;
  std::int64_t code = 0;
  std::string text;  // data, where it is a string; the delta of a stream frame
  std::string data;  // raw JSON
  std::int64_t index = -1;
  bool finish = false;
};

inline ParsedReply parse_reply(const std::string& line) {
  ParsedReply reply;
  EXPECT_EQ(line.back(), '\n');
  const protocol::JsonDocument document(line);
  EXPECT_TRUE(document.ok()) << line;
  const simdjson::dom::element root = document.root();
  const auto text = [](simdjson::dom::element value) {
    return std::string(std::string_view(value));
  };
  reply.request_id = text(root["request_id"]);
  reply.work_id = text(root["work_id"]);
  reply.object = text(root["object"]);
  reply.code = root["error"]["code"];
  reply.message = text(root["error"]["message"]);
  reply.data = simdjson::minify(root["data"]);
  if (root["data"].is_string()) {
    reply.text = text(root["data"]);
  } else if (root["data"]["delta"].error() == simdjson::SUCCESS) {
    reply.text = text(root["data"]["delta"]);
    reply.index = root["data"]["index"];
    reply.finish = root["data"]["finish"];
  }
  return reply;
}

// A client: keeps what it is sent.
class FakeSink : public protocol::ReplySink {
 public:
  void send(std::string line) override {
    const std::lock_guard lock(mutex_);
    lines_.push_back(std::move(line));
    changed_.notify_all();
  }
  bool closed() const override { return closed_; }
  void close() { closed_ = true; }

  // The first `count` replies, once they are there.
  std::vector<ParsedReply> wait(std::size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, kDeadline, [&] { return lines_.size() >= count; }))
        << "only " << lines_.size() << " of " << count << " replies";
    std::vector<ParsedReply> replies;
    for (const std::string& line : lines_) replies.push_back(parse_reply(line));
    replies.resize(std::max(count, replies.size()));
    return replies;
  }
  std::size_t count() {
    const std::lock_guard lock(mutex_);
    return lines_.size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
  std::atomic<bool> closed_ = false;
};

class FakeHost : public protocol::UnitHost {
 public:
  std::string register_task() override {
    const std::lock_guard lock(mutex_);
    std::string work_id = "llm.";
    work_id += std::to_string(next_++);
    registered.insert(work_id);
    return work_id;
  }
  void release_task(const std::string& work_id) noexcept override {
    const std::lock_guard lock(mutex_);
    registered.erase(work_id);
  }
  void publish(const std::string& work_id, const std::string& line) override {
    const std::lock_guard lock(mutex_);
    EXPECT_EQ(registered.count(work_id), 1U) << "published after the release of " << work_id;
    published_.push_back(line);
    changed_.notify_all();
  }
  bool has_subscribers(const std::string&) const override { return subscribers; }
  std::optional<std::string> find_output(const std::string&) override { return std::nullopt; }
  std::unique_ptr<protocol::Subscription> subscribe(
      const std::string&, std::function<void(std::string_view)>) override {
    return nullptr;
  }

  std::vector<ParsedReply> wait_published(std::size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, kDeadline, [&] { return published_.size() >= count; }));
    std::vector<ParsedReply> replies;
    for (const std::string& line : published_) replies.push_back(parse_reply(line));
    return replies;
  }

  std::atomic<bool> subscribers = false;
  std::set<std::string> registered;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> published_;
  int next_ = 1000;
};

// Knows the models it was given; any other name is not found.
class FakeLoader : public ModelLoader {
 public:
  std::shared_ptr<const runner::Model> load(const std::string& name, bool,
                                            const std::function<void(double)>&) override {
    const auto model = models.find(name);
    if (model == models.end()) {
      throw runner::Error(runner::ErrorCode::kNotFound, "model \"" + name + "\" not found");
    }
    return model->second;
  }
  std::shared_ptr<const runner::Model> load_described(const DescribedModel&,
                                                      const std::function<void(double)>&) override {
    return nullptr;
  }
  std::vector<ModelListing> list() override { return {}; }
  std::string inspect(const std::string&, bool) override { return "{}"; }
  main_llm::ModelText load_text(const std::string&) override { return {}; }
  NpuLibraries open_npu_libraries() const override { return {}; }

  std::map<std::string, std::shared_ptr<const runner::Model>> models;
};

// Holds a thread until opened; lets it pass from then on.
class Gate {
 public:
  void pass() {
    std::unique_lock lock(mutex_);
    ++arrived_;
    changed_.notify_all();
    EXPECT_TRUE(changed_.wait_for(lock, kDeadline, [&] { return open_; }));
  }
  // Returns when someone is held (or has passed).
  void wait_arrival() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, kDeadline, [&] { return arrived_ > 0; }));
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  int arrived_ = 0;
};

}  // namespace main_llm::fakes
