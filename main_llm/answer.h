#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/unit_host.h"

namespace main_llm {

// Who asked, and how an answer is to be written.
struct AnswerTarget {
  protocol::ReplySinkPtr sink;  // may be null: nobody asked (a linked input before any setup)
  std::string request_id;
  std::string work_id;
  std::string response_format;  // contains the part "stream": frames, else one reply
  bool send_results = true;     // enoutput; errors are sent regardless
};

// Writes the answer to one inference to its sender and to the task's output: any number of
// deltas, then exactly one ending. Not thread-safe.
class Answer {
 public:
  // `host` must outlive the answer.
  Answer(AnswerTarget target, protocol::UnitHost& host);

  // A piece of the answer; written at once when streaming.
  void delta(std::string_view text);

  // The ending of an answer that worked; `text` is all of it.
  void finish(std::string_view text);

  // The ending of one that did not. When streaming it is the closing frame, so that those who
  // wait for `finish` and those who wait for `error` both stop waiting.
  void fail(const protocol::WireError& error);

 private:
  void write(std::string data_json, const protocol::WireError& error, bool is_result);

  AnswerTarget target_;
  protocol::UnitHost& host_;
  bool stream_;
  std::uint64_t next_index_ = 0;
};

}  // namespace main_llm
