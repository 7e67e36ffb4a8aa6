#include "main_llm/unit.h"

#include <array>
#include <charconv>
#include <exception>
#include <utility>

#include "main_llm/error_map.h"
#include "main_llm/linked_input.h"
#include "protocol/json_writer.h"
#include "protocol/log.h"

namespace main_llm {
namespace {

using protocol::WireCode;

// Requests that may wait for the unit's thread, where each may take many seconds.
constexpr int kMaxWaitingSlow = 16;

// The number of "llm.1000".
std::optional<int> work_number(std::string_view work_id) {
  constexpr std::string_view kPrefix = "llm.";
  if (work_id.substr(0, kPrefix.size()) != kPrefix) return std::nullopt;
  const std::string_view digits = work_id.substr(kPrefix.size());
  int number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc{} || end != digits.data() + digits.size() || number < 0 ||
      std::to_string(number) != digits) {
    return std::nullopt;
  }
  return number;
}

void send_reply(const protocol::ReplySinkPtr& sink, const std::string& request_id,
                const std::string& work_id, protocol::WireError error = {}) {
  if (error.code != WireCode::kOk) {
    protocol::log_warn("request ", request_id, " for ", work_id, " refused: ", error.message);
  }
  protocol::Reply reply;
  reply.request_id = request_id;
  reply.work_id = work_id;
  reply.error = std::move(error);
  sink->send(protocol::serialize(reply));
}

}  // namespace

Unit::Unit(protocol::UnitHost& host, ModelLoader& loader, const UnitOptions& options)
    : host_(host), loader_(loader), options_(options), thread_([this] { run_jobs(); }) {}

Unit::~Unit() {
  end([] {});
  const std::lock_guard lock(jobs_mutex_);
  ending_ = true;
  jobs_changed_.notify_one();
}

Unit::Action Unit::find_action(std::string_view name) {
  struct Entry {
    std::string_view name;
    Action action;
  };
  static constexpr std::array<Entry, 8> kActions{{{"setup", &Unit::setup},
                                                  {"inference", &Unit::inference},
                                                  {"pause", &Unit::pause},
                                                  {"work", &Unit::work},
                                                  {"exit", &Unit::exit},
                                                  {"link", &Unit::link},
                                                  {"unlink", &Unit::unlink},
                                                  {"taskinfo", &Unit::taskinfo}}};
  for (const Entry& entry : kActions) {
    if (entry.name == name) return entry.action;
  }
  return nullptr;
}

void Unit::handle(const protocol::Request& request, const protocol::ReplySinkPtr& sink) {
  protocol::log_debug(request.work_id, " ", request.action, " request_id=", request.request_id,
                      " object=", request.object);
  try {
    if (const Action action = find_action(request.action)) {
      (this->*action)(request, sink);
    } else {
      send_reply(sink, request.request_id, request.work_id,
                 protocol::make_error(WireCode::kUnknownUnitAction, request.action));
    }
  } catch (...) {
    // Only what takes long throws: tasks answer for their inferences themselves.
    const bool is_setup = request.action == "setup";
    send_reply(sink, request.request_id, is_setup ? "llm" : request.work_id,
               to_wire_error(std::current_exception(),
                             is_setup ? WireCode::kModelLoading : WireCode::kLinkFailed));
  }
}

void Unit::setup(const protocol::Request& request, const protocol::ReplySinkPtr& sink) {
  SetupRequest setup = parse_setup(request);  // what is wrong with it is said at once
  post_slow(WireCode::kModelLoading,
            [this, setup = std::move(setup), request_id = request.request_id, sink] {
              try {
                const std::string work_id = run_setup(setup, {sink, request_id});
                protocol::log_info(work_id, ": set up with model ", setup.model);
                send_reply(sink, request_id, work_id);
              } catch (...) {
                send_reply(sink, request_id, "llm",
                           to_wire_error(std::current_exception(), WireCode::kModelLoading));
              }
            });
}

std::string Unit::run_setup(const SetupRequest& setup, Requester requester) {
  if (refuse_setups_) throw protocol::Error(WireCode::kModelLoading, "the program is ending");
  {
    const std::lock_guard lock(tasks_mutex_);
    if (static_cast<int>(tasks_.size()) >= options_.max_tasks) {
      throw protocol::Error(WireCode::kTaskFull, std::to_string(tasks_.size()) + " of " +
                                                     std::to_string(options_.max_tasks) +
                                                     " tasks are set up");
    }
  }
  std::string work_id = host_.register_task();
  try {
    const std::optional<int> number = work_number(work_id);
    if (!number) throw protocol::Error(WireCode::kModelLoading, "sys allotted " + work_id);
    auto task = std::make_shared<Task>(work_id, setup, loader_.load(setup.model, false), host_,
                                       options_.queue);
    task->set_requester(std::move(requester));
    for (const std::string& input : setup.inputs) {
      if (!linked_input(input)) continue;
      try {
        link_input(*task, input);
      } catch (const protocol::Error& error) {
        protocol::log_warn(work_id, ": input not linked: ", error.what());
      }
    }
    const std::lock_guard lock(tasks_mutex_);
    tasks_.emplace(*number, std::move(task));
  } catch (...) {
    host_.release_task(work_id);
    throw;
  }
  return work_id;
}

std::shared_ptr<Task> Unit::find_task(const std::string& work_id) const {
  const std::optional<int> number = work_number(work_id);
  if (!number) return nullptr;
  const std::lock_guard lock(tasks_mutex_);
  const auto task = tasks_.find(*number);
  return task == tasks_.end() ? nullptr : task->second;
}

std::shared_ptr<Task> Unit::find_task_or_refuse(const protocol::Request& request,
                                                const protocol::ReplySinkPtr& sink) const {
  std::shared_ptr<Task> task = find_task(request.work_id);
  if (!task) {
    send_reply(sink, request.request_id, request.work_id,
               protocol::make_error(WireCode::kUnitDoesNotExist));
  }
  return task;
}

void Unit::inference(const protocol::Request& request, const protocol::ReplySinkPtr& sink) {
  if (const auto task = find_task(request.work_id)) {
    task->infer(request, sink);
  } else {
    send_reply(sink, request.request_id, request.work_id,
               protocol::make_error(WireCode::kNoSuchTask));
  }
}

void Unit::pause(const protocol::Request& request, const protocol::ReplySinkPtr& sink) {
  const auto task = find_task_or_refuse(request, sink);
  if (!task) return;
  task->pause();
  send_reply(sink, request.request_id, request.work_id);
}

// Tasks always work; the action exists because clients send it after a pause.
void Unit::work(const protocol::Request& request, const protocol::ReplySinkPtr& sink) {
  if (find_task_or_refuse(request, sink)) send_reply(sink, request.request_id, request.work_id);
}

void Unit::exit(const protocol::Request& request, const protocol::ReplySinkPtr& sink) {
  if (!find_task_or_refuse(request, sink)) return;
  {
    const std::lock_guard lock(tasks_mutex_);
    if (auto entry = tasks_.extract(*work_number(request.work_id))) {
      retire(std::move(entry.mapped()));
    }
  }
  send_reply(sink, request.request_id, request.work_id);
}

void Unit::link(const protocol::Request& request, const protocol::ReplySinkPtr& sink) {
  std::shared_ptr<Task> task = find_task_or_refuse(request, sink);
  if (!task) return;
  post_slow(WireCode::kLinkFailed, [this, task = std::move(task), request, sink] {
    protocol::WireError error;
    try {
      link_input(*task, request.data);
    } catch (...) {
      error = to_wire_error(std::current_exception(), WireCode::kLinkFailed);
    }
    send_reply(sink, request.request_id, request.work_id, std::move(error));
  });
}

// To unlink what is not linked is no error.
void Unit::unlink(const protocol::Request& request, const protocol::ReplySinkPtr& sink) {
  std::shared_ptr<Task> task = find_task_or_refuse(request, sink);
  if (!task) return;
  post_slow(WireCode::kLinkFailed, [task = std::move(task), request, sink] {
    task->unlink(request.data);
    send_reply(sink, request.request_id, request.work_id);
  });
}

// Throws protocol::Error(kLinkFailed) when there is nothing to link with.
void Unit::link_input(Task& task, const std::string& source) {
  const std::optional<LinkedInput> kind = linked_input(source);
  if (!kind) {
    throw protocol::Error(WireCode::kLinkFailed,
                          "\"" + source + "\" is none of asr.N, whisper.N and kws.N");
  }
  const std::optional<std::string> url = host_.find_output(source);
  if (!url) throw protocol::Error(WireCode::kLinkFailed, "there is no " + source);
  // The task outlives its subscriptions.
  task.link(source, host_.subscribe(*url, [&task, kind](std::string_view message) {
    if (*kind == LinkedInput::kSpeech) {
      task.hear(message);
    } else {
      task.pause();
    }
  }));
}

void Unit::taskinfo(const protocol::Request& request, const protocol::ReplySinkPtr& sink) {
  protocol::Reply reply;
  reply.request_id = request.request_id;
  reply.work_id = request.work_id;
  if (request.work_id == "llm") {
    reply.object = "llm.tasklist";
    reply.data_json = protocol::json_array(work_ids());
  } else {
    const auto task = find_task_or_refuse(request, sink);
    if (!task) return;
    reply.object = "llm.taskinfo";
    reply.data_json = task->info_json();
  }
  sink->send(protocol::serialize(reply));
}

void Unit::sender_gone(const protocol::ReplySinkPtr& sink) {
  std::vector<std::shared_ptr<Task>> tasks;
  {
    const std::lock_guard lock(tasks_mutex_);
    for (const auto& [number, task] : tasks_) tasks.push_back(task);
  }
  for (const auto& task : tasks) task->sender_gone(sink);
}

std::vector<std::string> Unit::work_ids() const {
  std::vector<std::string> ids;
  const std::lock_guard lock(tasks_mutex_);
  for (const auto& [number, task] : tasks_) ids.push_back(task->work_id());
  return ids;
}

void Unit::drop_tasks(std::function<void()> done) {
  const auto drop_present = [this] {
    const std::lock_guard lock(tasks_mutex_);
    for (auto& [number, task] : std::exchange(tasks_, {})) retire(std::move(task));
  };
  drop_present();
  post([this, drop_present, done = std::move(done)] {
    drop_present();  // of setups that were under way
    post(done);      // behind the retirements just posted
  });
}

void Unit::end(std::function<void()> done) {
  refuse_setups_ = true;
  drop_tasks(std::move(done));
}

// Closes a task, and frees it as soon as its last step is over. Whoever takes it out of the table
// holds the lock meanwhile: what is posted by those who find it gone comes behind its end.
void Unit::retire(std::shared_ptr<Task> task) {
  task->close();
  post([this, task = std::move(task)]() mutable {
    const std::string work_id = task->work_id();
    task.reset();  // waits for its last frame, which still needs the host
    host_.release_task(work_id);
    protocol::log_info(work_id, ": gone");
  });
}

// Throws protocol::Error when too many wait.
void Unit::post_slow(WireCode refusal, std::function<void()> job) {
  {
    const std::lock_guard lock(jobs_mutex_);
    if (waiting_slow_ == kMaxWaitingSlow) {
      throw protocol::Error(refusal,
                            std::to_string(kMaxWaitingSlow) + " requests are waiting already");
    }
    ++waiting_slow_;
  }
  post([this, job = std::move(job)] {
    job();
    const std::lock_guard lock(jobs_mutex_);
    --waiting_slow_;
  });
}

void Unit::post(std::function<void()> job) {
  const std::lock_guard lock(jobs_mutex_);
  jobs_.push_back(std::move(job));
  jobs_changed_.notify_one();
}

void Unit::run_jobs() {
  std::unique_lock lock(jobs_mutex_);
  for (;;) {
    jobs_changed_.wait(lock, [this] { return ending_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    std::function<void()> job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    job = nullptr;  // what it holds may wait for others to end
    lock.lock();
  }
}

}  // namespace main_llm
