#include "main_llm/task.h"

#include <algorithm>
#include <cmath>
#include <exception>

#include "main_llm/error_map.h"
#include "main_llm/linked_input.h"
#include "protocol/json_writer.h"
#include "protocol/log.h"
#include "runner/error.h"
#include "runner/random_seed.h"

namespace main_llm {
namespace {

using protocol::WireCode;

// Streamed inputs begun and not finished; one more pushes the oldest out.
constexpr std::size_t kMaxOpenStreams = 16;

runner::GenerationOptions generation_options(const SetupRequest& setup,
                                             const runner::Model& model) {
  runner::GenerationOptions options;
  options.sampler = runner::task_sampler(model, setup.params);
  const runner::ModeParams params = runner::merge(model.mode_param, setup.params);
  if (params.max_token_len && *params.max_token_len < 1) {
    throw runner::Error(
        runner::ErrorCode::kBadOption,
        "max_token_len is " + std::to_string(*params.max_token_len) + ", expected at least 1");
  }
  options.max_total_tokens = params.max_token_len.value_or(0);
  return options;
}

bool is_context_model(const SetupRequest& setup, const runner::Model& model) {
  return runner::merge(model.mode_param, setup.params).precompute_len.value_or(0) > 0;
}

// Context models take `system_prompt` first, others `prompt`; the other one stands in.
std::string system_prompt(const SetupRequest& setup, const runner::Model& model) {
  const std::string from_params =
      runner::merge(model.mode_param, setup.params).system_prompt.value_or("");
  const bool params_first = is_context_model(setup, model);
  const std::string& first = params_first ? from_params : setup.prompt;
  return !first.empty() ? first : params_first ? setup.prompt : from_params;
}

}  // namespace

Task::Task(std::string work_id, SetupRequest setup, std::shared_ptr<const runner::Model> model,
           protocol::UnitHost& host, int queue_limit)
    : work_id_(std::move(work_id)),
      setup_(std::move(setup)),
      model_(std::move(model)),
      host_(host),
      queue_limit_(static_cast<std::size_t>(queue_limit)),
      keep_conversation_(is_context_model(setup_, *model_)),
      generation_(generation_options(setup_, *model_)),
      default_prefix_(setup_.soft_prefix
                          ? parse_soft_prefix(*setup_.soft_prefix, model_->shape.hidden)
                          : nullptr),
      conversation_(model_,
                    runner::prompt_options(model_->mode_param, setup_.params, system_prompt(setup_, *model_)),
                    keep_conversation_),
      inputs_(setup_.inputs),
      worker_([this] { run(); }) {}

Task::~Task() {
  links_.clear();  // nothing is heard any more
  close();
}

AnswerTarget Task::target_of(const protocol::ReplySinkPtr& sink,
                             const std::string& request_id) const {
  return {sink, request_id, work_id_, setup_.response_format, setup_.enoutput};
}

void Task::fail(AnswerTarget target, const protocol::WireError& error) {
  protocol::log_warn(work_id_, ": request ", target.request_id, " refused: ", error.message);
  Answer(std::move(target), host_).fail(error);
}

void Task::infer(const protocol::Request& request, const protocol::ReplySinkPtr& sink) {
  AnswerTarget target = target_of(sink, request.request_id);
  set_requester({sink, request.request_id});
  try {
    std::optional<InferenceInput> input = protocol::object_has(request.object, "stream")
                                              ? collect(request, sink)
                                              : parse_whole_input(request);
    if (!input) return;
    Job job;
    job.text = decode_input_text(std::move(input->text), request.object);
    job.prefix = input->soft_prefix ? parse_soft_prefix(*input->soft_prefix, model_->shape.hidden)
                                    : default_prefix_;
    job.target = target;
    enqueue(std::move(job));
  } catch (...) {
    fail(std::move(target), to_wire_error(std::current_exception(), WireCode::kModelRun));
  }
}

void Task::hear(std::string_view message) {
  std::optional<std::string> said = finished_utterance(message);
  if (!said) return;
  Job job;
  {
    const std::lock_guard lock(links_mutex_);
    job.target = target_of(requester_.sink.lock(), requester_.request_id);
  }
  job.text = *std::move(said);
  job.prefix = default_prefix_;
  job.is_heard = true;
  enqueue(std::move(job));
}

void Task::set_requester(Requester requester) {
  const std::lock_guard lock(links_mutex_);
  requester_ = std::move(requester);
}

void Task::link(const std::string& source, std::unique_ptr<protocol::Subscription> subscription) {
  // One of the same source ends outside of the lock, which its callback may be waiting for.
  const std::lock_guard lock(links_mutex_);
  links_[source].swap(subscription);
  if (std::find(inputs_.begin(), inputs_.end(), source) == inputs_.end()) {
    inputs_.push_back(source);
  }
}

void Task::unlink(const std::string& source) {
  std::unique_ptr<protocol::Subscription> ended;
  const std::lock_guard lock(links_mutex_);
  const auto link = links_.find(source);
  if (link == links_.end()) return;
  ended = std::move(link->second);
  links_.erase(link);
  std::erase(inputs_, source);
}

// The whole input once its finishing frame is there. Throws protocol::Error(kStreamIndex).
std::optional<InferenceInput> Task::collect(const protocol::Request& request,
                                            const protocol::ReplySinkPtr& sink) {
  protocol::StreamFrame frame = parse_stream_input(request);
  const StreamKey key{sink, request.request_id};
  std::optional<OpenStream> pushed_out;
  std::optional<InferenceInput> whole;
  {
    const std::lock_guard lock(streams_mutex_);
    auto stream = std::find_if(streams_.begin(), streams_.end(),
                               [&](const OpenStream& open) { return open.key == key; });
    if (stream == streams_.end()) {
      if (streams_.size() == kMaxOpenStreams) {
        pushed_out = std::move(streams_.front());
        streams_.pop_front();
      }
      stream = streams_.insert(streams_.end(), OpenStream{key, {}});
    }
    protocol::StreamCollector::Result result = stream->collector.push(std::move(frame));
    if (!std::holds_alternative<protocol::StreamCollector::Unfinished>(result)) {
      streams_.erase(stream);
    }
    if (auto* error = std::get_if<protocol::StreamInputError>(&result)) {
      throw protocol::Error(WireCode::kStreamIndex, error->detail);
    }
    if (auto* input = std::get_if<protocol::StreamInput>(&result)) {
      whole = InferenceInput{std::move(input->text), std::move(input->soft_prefix)};
    }
  }
  if (pushed_out) {
    fail(target_of(pushed_out->key.first, pushed_out->key.second),
         protocol::make_error(WireCode::kStreamIndex, "given up: more than " +
                                                          std::to_string(kMaxOpenStreams) +
                                                          " inputs were begun and not finished"));
  }
  return whole;
}

void Task::enqueue(Job job) {
  std::string refused;
  {
    const std::lock_guard lock(jobs_mutex_);
    // While nothing runs, the first of the queue is as good as running.
    const std::size_t room = queue_limit_ + (running_ ? 0 : 1);
    if (closed_) {
      refused = "the task was closed";
    } else if (waiting_.size() >= room) {
      refused = "queue full: " + std::to_string(queue_limit_) + " inferences are waiting";
    } else {
      waiting_.push_back(std::move(job));
    }
  }
  if (refused.empty()) {
    jobs_changed_.notify_one();
  } else {
    fail(std::move(job.target), protocol::make_error(WireCode::kModelRun, refused));
  }
}

void Task::pause() {
  const std::lock_guard lock(jobs_mutex_);
  if (running_) {
    running_->request_stop();
  } else if (!waiting_.empty()) {
    waiting_.front().stop.request_stop();
  }
}

void Task::sender_gone(const protocol::ReplySinkPtr& sink) {
  {
    const std::lock_guard lock(streams_mutex_);
    std::erase_if(streams_, [&](const OpenStream& open) { return open.key.first == sink; });
  }
  if (host_.has_subscribers(work_id_)) return;
  const std::lock_guard lock(jobs_mutex_);
  if (running_ && running_sink_ == sink) running_->request_stop();
  const auto dropped = std::erase_if(
      waiting_, [&](const Job& job) { return !job.is_heard && job.target.sink == sink; });
  if (dropped > 0)
    protocol::log_info(work_id_, ": ", dropped, " waiting requests of a gone sender dropped");
}

void Task::close() {
  std::deque<Job> waiting;
  {
    const std::lock_guard lock(jobs_mutex_);
    closed_ = true;
    if (running_) running_->request_stop();
    waiting.swap(waiting_);
  }
  jobs_changed_.notify_one();
  for (Job& job : waiting) {
    fail(std::move(job.target),
         protocol::make_error(WireCode::kModelRun, "the task was closed before its turn"));
  }
}

void Task::run() {
  for (;;) {
    std::unique_lock lock(jobs_mutex_);
    jobs_changed_.wait(lock, [this] { return closed_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    const Job job = std::move(waiting_.front());
    waiting_.pop_front();
    running_ = job.stop;
    running_sink_ = job.is_heard ? nullptr : job.target.sink;
    lock.unlock();

    std::optional<Ending> ending;
    Answer answer(job.target, host_);
    if (is_abandoned(job)) {
      protocol::log_info(work_id_, ": request ", job.target.request_id,
                         " dropped: its sender has gone");
    } else {
      ending = run_job(job, answer);
    }

    // Free again before the ending is out: whoever reads it may send the next inference at once.
    lock.lock();
    running_.reset();
    running_sink_.reset();
    lock.unlock();
    if (ending && ending->error) {
      answer.fail(*ending->error);
    } else if (ending) {
      answer.finish(ending->text);
    }
  }
}

bool Task::is_abandoned(const Job& job) const {
  return !job.is_heard && job.target.sink->closed() && !host_.has_subscribers(work_id_);
}

Task::Ending Task::run_job(const Job& job, Answer& answer) {
  try {
    return {generate(job, answer), std::nullopt};
  } catch (...) {
    auto error = to_wire_error(std::current_exception(), WireCode::kModelRun);
    protocol::log_error(work_id_, ": request ", job.target.request_id, " failed: ", error.message);
    return {"", std::move(error)};
  }
}

std::string Task::generate(const Job& job, Answer& answer) {
  if (keep_conversation_ && job.text == "reset") {
    const std::string message = "Context has been reset.";
    conversation_.reset();
    answer.delta(message);
    return message;
  }
  runner::GenerationOptions options = generation_;
  options.seed = setup_.seed ? *setup_.seed : runner::random_seed();
  runner::GenerationResult result = conversation_.ask(
      job.text, job.prefix, options, [&](std::string_view text) { answer.delta(text); },
      job.stop.get_token());
  const auto new_tokens = result.tokens.size();
  const auto tokens_per_second =
      result.decode_ms > 0 ? static_cast<double>(new_tokens) * 1000 / result.decode_ms : 0;
  protocol::log_info(work_id_, ": request ", job.target.request_id,
                     " prompt_rows=", result.prompt_rows, " computed_rows=", result.computed_rows,
                     " new_tokens=", new_tokens, " prefill_ms=", std::lround(result.first_token_ms),
                     " decode_tps=", std::lround(tokens_per_second),
                     " finish=", runner::to_string(result.finish));
  return std::move(result.text);
}

std::string Task::info_json() const {
  const std::lock_guard lock(links_mutex_);
  return "{\"model\":" + protocol::json_string(setup_.model) +
         ",\"response_format\":" + protocol::json_string(setup_.response_format) +
         ",\"enoutput\":" + (setup_.enoutput ? "true" : "false") +
         ",\"inputs\":" + protocol::json_array(inputs_) +
         ",\"hidden_size\":" + std::to_string(model_->shape.hidden) +
         ",\"context_length\":" + std::to_string(model_->shape.context) +
         ",\"engine\":" + protocol::json_string(model_->engine) + "}";
}

}  // namespace main_llm
