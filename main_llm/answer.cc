#include "main_llm/answer.h"

#include <utility>

#include "protocol/json_writer.h"
#include "protocol/message.h"

namespace main_llm {

Answer::Answer(AnswerTarget target, protocol::UnitHost& host)
    : target_(std::move(target)),
      host_(host),
      stream_(protocol::object_has(target_.response_format, "stream")) {}

void Answer::delta(std::string_view text) {
  if (stream_) write(protocol::stream_data(next_index_++, false, text), {}, true);
}

void Answer::finish(std::string_view text) {
  write(stream_ ? protocol::stream_data(next_index_++, true, "") : protocol::json_string(text), {},
        true);
}

void Answer::fail(const protocol::WireError& error) {
  if (stream_) {
    write(protocol::stream_data(next_index_++, true, ""), error, true);
  } else {
    write("", error, false);
  }
}

void Answer::write(std::string data_json, const protocol::WireError& error, bool is_result) {
  protocol::Reply reply;
  reply.request_id = target_.request_id;
  reply.work_id = target_.work_id;
  reply.error = error;
  if (is_result) {
    reply.object = target_.response_format;
    reply.data_json = std::move(data_json);
  }
  std::string line = protocol::serialize(reply);
  // Units behind the output wait for a closing frame; a bare error would be read as text by them.
  if (is_result) host_.publish(target_.work_id, line);
  const bool failed = error.code != protocol::WireCode::kOk;
  if (target_.sink && (target_.send_results || failed)) target_.sink->send(std::move(line));
}

}  // namespace main_llm
