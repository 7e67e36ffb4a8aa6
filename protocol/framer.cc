#include "protocol/framer.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace protocol {
namespace {

// What is kept of an object over the limit: enough to see how many bytes follow it.
constexpr std::size_t kHeadBytes = 64;

// The bytes announced behind an object by `key` (`{"RAW":`) at its very start.
std::optional<std::uint64_t> announced_bytes(std::string_view json, std::string_view key) {
  if (!json.starts_with(key)) return std::nullopt;
  json.remove_prefix(std::min(json.find_first_not_of(' ', key.size()), json.size()));
  std::uint64_t bytes = 0;
  const auto [rest, error] = std::from_chars(json.data(), json.data() + json.size(), bytes);
  if (error != std::errc() || rest == json.data() + json.size()) return std::nullopt;
  const bool is_integer = std::string_view(" \t\r\n,}").find(*rest) != std::string_view::npos;
  return is_integer ? std::optional(bytes) : std::nullopt;
}

}  // namespace

Framer::Framer(std::size_t max_bytes) : max_bytes_(max_bytes) {}

void Framer::push(std::string_view bytes) { input_ += bytes; }

std::optional<Frame> Framer::next() {
  while (position_ < input_.size()) {
    std::optional<Frame> frame;
    switch (state_) {
      case State::kBetween:
        frame = skip_to_object();
        break;
      case State::kObject:
        frame = take_object();
        break;
      case State::kSeparator:
        ++position_;
        state_ = State::kRaw;
        if (raw_left_ == 0) frame = finish();
        break;
      case State::kRaw:
        frame = take_raw();
        break;
    }
    if (frame) return frame;
  }
  input_.clear();
  position_ = 0;
  return std::nullopt;
}

std::optional<Frame> Framer::skip_to_object() {
  position_ = std::min(input_.find_first_of("{}", position_), input_.size());
  if (position_ == input_.size()) return std::nullopt;
  if (input_[position_] == '}') {
    ++position_;
    return Frame{Frame::Kind::kReset, {}, {}};
  }
  state_ = State::kObject;
  return std::nullopt;
}

std::optional<Frame> Framer::take_object() {
  const std::size_t begin = position_;
  bool is_complete = false;
  while (position_ < input_.size() && !is_complete) is_complete = step(input_[position_++]);
  const bool grew_too_large = store(std::string_view(input_).substr(begin, position_ - begin));
  std::optional<Frame> frame;
  if (is_complete) frame = end_object();
  if (grew_too_large) return Frame{Frame::Kind::kReset, {}, {}};
  return frame;
}

bool Framer::step(char c) {
  if (in_string_) {
    if (escaped_) {
      escaped_ = false;
    } else if (c == '\\') {
      escaped_ = true;
    } else if (c == '"') {
      in_string_ = false;
    }
    return false;
  }
  if (c == '"') in_string_ = true;
  if (c == '{') ++depth_;
  return c == '}' && --depth_ == 0;
}

bool Framer::store(std::string_view bytes) {
  if (!skipping_ && bytes.size() <= max_bytes_ - frame_.json.size()) {
    frame_.json += bytes;
    return false;
  }
  const std::size_t stored = std::min(frame_.json.size(), kHeadBytes);
  std::string head = frame_.json.substr(0, stored);
  head += bytes.substr(0, kHeadBytes - stored);
  frame_.json = std::move(head);  // not resize(): that would keep the memory
  return !std::exchange(skipping_, true);
}

std::optional<Frame> Framer::end_object() {
  if (const auto raw_bytes = announced_bytes(frame_.json, "{\"RAW\":")) {
    frame_.kind = Frame::Kind::kRaw;
    raw_left_ = *raw_bytes;
  } else if (const auto bson_bytes = announced_bytes(frame_.json, "{\"BON\":")) {
    frame_.kind = Frame::Kind::kBson;
    raw_left_ = *bson_bytes;
  } else {
    return finish();
  }
  state_ = State::kSeparator;
  if (raw_left_ <= max_bytes_ || skipping_) return std::nullopt;
  skipping_ = true;
  return Frame{Frame::Kind::kReset, {}, {}};
}

std::optional<Frame> Framer::take_raw() {
  const std::size_t available = input_.size() - position_;
  const auto bytes = static_cast<std::size_t>(std::min<std::uint64_t>(raw_left_, available));
  if (frame_.kind == Frame::Kind::kRaw && !skipping_) frame_.raw.append(input_, position_, bytes);
  position_ += bytes;
  raw_left_ -= bytes;
  return raw_left_ == 0 ? finish() : std::nullopt;
}

std::optional<Frame> Framer::finish() {
  state_ = State::kBetween;
  Frame frame = std::exchange(frame_, Frame{});
  if (std::exchange(skipping_, false)) return std::nullopt;
  return frame;
}

}  // namespace protocol
