#include "main_llm/linked_input.h"

#include <simdjson.h>

#include "protocol/json_reader.h"
#include "protocol/message.h"

namespace main_llm {
namespace {

using protocol::find_member;

std::string_view text_of(simdjson::dom::object object, std::string_view key) {
  std::string_view text;
  const auto member = find_member(object, key);
  if (!member || member->get(text)) return {};
  return text;
}

bool reports_error(simdjson::dom::object reply) {
  simdjson::dom::object error;
  std::int64_t code = 0;
  const auto member = find_member(reply, "error");
  return member && !member->get(error) && !error.at_key("code").get(code) && code != 0;
}

}  // namespace

std::optional<LinkedInput> linked_input(std::string_view work_id) {
  const std::string_view unit = work_id.substr(0, work_id.find('.'));
  if (unit == work_id) return std::nullopt;
  if (unit == "asr" || unit == "whisper") return LinkedInput::kSpeech;
  if (unit == "kws") return LinkedInput::kWakeWord;
  return std::nullopt;
}

std::optional<std::string> finished_utterance(std::string_view message) {
  const protocol::JsonDocument document(message);
  simdjson::dom::object reply;
  if (!document.ok() || document.root().get(reply) || reports_error(reply)) return std::nullopt;
  std::string_view text;
  if (protocol::object_has(text_of(reply, "object"), "stream")) {
    simdjson::dom::object frame;
    bool finish = false;
    const auto data = find_member(reply, "data");
    if (!data || data->get(frame) || frame.at_key("finish").get(finish) || !finish) {
      return std::nullopt;
    }
    text = text_of(frame, "delta");
  } else {
    text = text_of(reply, "data");
  }
  if (text.empty()) return std::nullopt;
  return std::string(text);
}

}  // namespace main_llm
