#include "protocol/stream_input.h"

#include <utility>

#include "protocol/json_reader.h"

namespace protocol {
namespace {

using simdjson::dom::element;

std::string expected(std::string_view key, const std::optional<element>& got,
                     std::string_view what) {
  return std::string(key) + " is " + (got ? describe(*got) : "missing") + ", expected " +
         std::string(what);
}

}  // namespace

std::variant<StreamFrame, StreamInputError> parse_stream_frame(std::string_view data_json) {
  const JsonDocument document(data_json);
  if (!document.ok()) {
    return StreamInputError{"data is not the JSON of a stream frame: " + document.error()};
  }
  simdjson::dom::object object;
  if (document.root().get(object)) {
    return StreamInputError{expected("data", document.root(), "an object")};
  }

  StreamFrame frame;
  const std::optional<element> index = find_member(object, "index");
  if (!index || index->get(frame.index) || frame.index < 0) {
    return StreamInputError{expected("index", index, "an integer from 0")};
  }
  const std::optional<element> finish = find_member(object, "finish");
  if (finish && finish->get(frame.finish)) {
    return StreamInputError{expected("finish", finish, "true or false")};
  }
  const std::optional<element> delta = find_member(object, "delta");
  std::string_view text;
  if (delta && delta->get(text)) {
    return StreamInputError{expected("delta", delta, "a string")};
  }
  frame.delta = text;
  if (find_member(object, "soft_prefix")) {
    frame.soft_prefix = member_text(data_json, object, "soft_prefix");
  }
  return frame;
}

StreamCollector::Result StreamCollector::push(StreamFrame frame) {
  if (frame.index == 0 && deltas_.contains(0)) clear();
  if (frame.soft_prefix) {
    bytes_ -= soft_prefix_ ? soft_prefix_->size() : 0;
    bytes_ += frame.soft_prefix->size();
    soft_prefix_ = std::move(frame.soft_prefix);
  }
  std::string& delta = deltas_[frame.index];
  bytes_ += frame.delta.size() - delta.size();
  delta = std::move(frame.delta);

  if (bytes_ > kMaxBytes || deltas_.size() > kMaxFrames) {
    const bool too_long = bytes_ > kMaxBytes;
    clear();
    return StreamInputError{"the input is over " + (too_long
                                                        ? std::to_string(kMaxBytes) + " bytes"
                                                        : std::to_string(kMaxFrames) + " frames")};
  }
  if (!frame.finish) return Unfinished{};
  Result result = join();
  clear();
  return result;
}

StreamCollector::Result StreamCollector::join() {
  StreamInput input;
  std::int64_t next = 0;
  for (const auto& [index, delta] : deltas_) {
    if (index != next) {
      return StreamInputError{"frame " + std::to_string(next) + " is missing, got up to " +
                              std::to_string(deltas_.rbegin()->first)};
    }
    input.text += delta;
    ++next;
  }
  input.soft_prefix = std::move(soft_prefix_);
  return input;
}

void StreamCollector::clear() {
  deltas_.clear();
  soft_prefix_.reset();
  bytes_ = 0;
}

}  // namespace protocol
