#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace protocol {

// One frame of a streamed input, {"delta","index","finish","soft_prefix"}.
struct StreamFrame {
  std::string delta;  // "" when absent
  std::int64_t index = 0;
  bool finish = false;                     // false when absent
  std::optional<std::string> soft_prefix;  // JSON of `soft_prefix` where present ("null" too)
};

// The message of a kStreamIndex error: what was wrong with the frame or the collection.
struct StreamInputError {
  std::string detail;
};

// Reads a frame from the JSON text of an object (a request's `data`, whether it was sent as an
// object or as a string that holds one). `index` must be an integer from 0.
std::variant<StreamFrame, StreamInputError> parse_stream_frame(std::string_view data_json);

// A whole input, joined from its frames.
struct StreamInput {
  std::string text;
  std::optional<std::string> soft_prefix;  // of the last frame received that had one
};

// Collects the frames of one request. Index 0 again starts afresh; another repeated index replaces
// the earlier frame; order does not matter before the finishing frame, with which every index from
// 0 to the highest must be there.
class StreamCollector {
 public:
  // Most text and soft prefix bytes held, and most frames; more is a StreamInputError.
  static constexpr std::size_t kMaxBytes = std::size_t{8} << 20;
  static constexpr std::size_t kMaxFrames = 65'536;

  // What a frame leads to: nothing yet, the whole input, or an error. After the latter two the
  // collector is empty again.
  struct Unfinished {};
  using Result = std::variant<Unfinished, StreamInput, StreamInputError>;

  Result push(StreamFrame frame);

  bool empty() const { return deltas_.empty(); }

 private:
  Result join();
  void clear();

  std::map<std::int64_t, std::string> deltas_;  // by index
  std::optional<std::string> soft_prefix_;
  std::size_t bytes_ = 0;  // of all of these
};

}  // namespace protocol
