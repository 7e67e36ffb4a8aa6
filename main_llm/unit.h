#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "main_llm/model_loader.h"
#include "main_llm/task.h"
#include "protocol/unit_host.h"

namespace main_llm {

struct UnitOptions {
  int max_tasks = 2;
  int queue = 3;  // inferences that may wait behind the running one of a task
};

// The llm unit: its table of actions and its tasks by work_id. It answers every request itself or
// hands it to a task that does; it knows nothing of sockets.
//
// Threads: handle() and the others may be called from any thread and never block. What takes
// long (loading models, asking the host for work_ids, waiting for a closed task's last step) runs
// in the order it was asked for on one thread of the unit's own, so that a setup right after an
// exit finds the memory free.
class Unit {
 public:
  // `host` and `loader` must outlive the unit.
  Unit(protocol::UnitHost& host, ModelLoader& loader, const UnitOptions& options);

  // Drops all tasks, refuses setups that wait, and returns when nothing is under way: at most one
  // step of each engine, or one model load, later.
  ~Unit();

  Unit(const Unit&) = delete;
  Unit& operator=(const Unit&) = delete;

  void handle(const protocol::Request& request, const protocol::ReplySinkPtr& sink);
  void sender_gone(const protocol::ReplySinkPtr& sink);

  // The work_ids in use, lowest first.
  std::vector<std::string> work_ids() const;

  // Closes all tasks; `done` is called from the unit's thread when they and all setups asked for
  // before are gone.
  void drop_tasks(std::function<void()> done);

  // The same for good: setups that wait, and later ones, are refused.
  void end(std::function<void()> done);

 private:
  using Action = void (Unit::*)(const protocol::Request&, const protocol::ReplySinkPtr&);

  void setup(const protocol::Request& request, const protocol::ReplySinkPtr& sink);
  void inference(const protocol::Request& request, const protocol::ReplySinkPtr& sink);
  void pause(const protocol::Request& request, const protocol::ReplySinkPtr& sink);
  void work(const protocol::Request& request, const protocol::ReplySinkPtr& sink);
  void exit(const protocol::Request& request, const protocol::ReplySinkPtr& sink);
  void link(const protocol::Request& request, const protocol::ReplySinkPtr& sink);
  void unlink(const protocol::Request& request, const protocol::ReplySinkPtr& sink);
  void taskinfo(const protocol::Request& request, const protocol::ReplySinkPtr& sink);
  static Action find_action(std::string_view name);

  std::string run_setup(const SetupRequest& setup, Requester requester);
  void link_input(Task& task, const std::string& source);
  void post_slow(protocol::WireCode refusal, std::function<void()> job);
  std::shared_ptr<Task> find_task(const std::string& work_id) const;
  std::shared_ptr<Task> find_task_or_refuse(const protocol::Request& request,
                                            const protocol::ReplySinkPtr& sink) const;
  void retire(std::shared_ptr<Task> task);
  void post(std::function<void()> job);
  void run_jobs();

  protocol::UnitHost& host_;
  ModelLoader& loader_;
  const UnitOptions options_;

  mutable std::mutex tasks_mutex_;
  std::map<int, std::shared_ptr<Task>> tasks_;  // by work number

  std::mutex jobs_mutex_;
  std::condition_variable jobs_changed_;
  std::deque<std::function<void()>> jobs_;
  int waiting_slow_ = 0;
  bool ending_ = false;
  std::atomic<bool> refuse_setups_ = false;

  std::jthread thread_;  // last: it uses everything above
};

}  // namespace main_llm
