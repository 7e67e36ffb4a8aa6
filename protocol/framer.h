#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace protocol {

// What the framer found in the bytes of one connection.
struct Frame {
  enum class Kind {
    kObject,  // json is one whole object
    kRaw,     // json is the object, raw the N bytes behind it ({"RAW":N…)
    kBson,    // json is the object; the N bytes behind it ({"BON":N…) were dropped
    kReset,   // bytes were given up: a `}` that closes nothing, or a frame over the limit, which
              // is skipped to its end
  };
  Kind kind = Kind::kObject;
  std::string json;
  std::string raw;
};

// Cuts a byte stream into JSON objects. Knows strings and escapes, needs no newline; what cannot
// start an object is skipped. Bytes in, frames out; no socket, no JSON parser. The frames do not
// depend on how the stream was cut into pushes, and the time is linear in its length.
class Framer {
 public:
  static constexpr std::size_t kDefaultMaxBytes = std::size_t{8} << 20;

  // `max_bytes`: the largest object, and the largest raw part, accepted.
  explicit Framer(std::size_t max_bytes = kDefaultMaxBytes);

  // Takes the next bytes of the stream. Memory held stays below twice max_bytes (an object and
  // the raw bytes behind it) plus one push.
  void push(std::string_view bytes);

  // The next frame, or nullopt when more bytes are needed. Call until nullopt after each push.
  std::optional<Frame> next();

 private:
  enum class State { kBetween, kObject, kSeparator, kRaw };

  // Each looks at bytes of input_ from position_ on, at least one.
  std::optional<Frame> skip_to_object();
  std::optional<Frame> take_object();
  std::optional<Frame> take_raw();

  bool step(char c);                   // follows strings and braces; true where the object ends
  bool store(std::string_view bytes);  // of an object; true if that took it over the limit
  std::optional<Frame> end_object();   // what comes next: raw bytes, or the end of the frame
  std::optional<Frame> finish();       // the frame put together; nullopt if it was skipped

  std::size_t max_bytes_;
  std::string input_;         // pushed and not yet drained by next()
  std::size_t position_ = 0;  // the first byte of input_ not yet looked at
  State state_ = State::kBetween;
  std::size_t depth_ = 0;  // open braces of the object
  bool in_string_ = false;
  bool escaped_ = false;        // the byte before was an escaping backslash
  bool skipping_ = false;       // the frame is over the limit: followed, not stored
  std::uint64_t raw_left_ = 0;  // bytes still to come behind the separator
  Frame frame_;                 // put together so far
};

}  // namespace protocol
