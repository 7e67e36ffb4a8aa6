#include "runner/text/utf8_stream.h"

namespace runner {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// What the byte after a lead byte may be; narrower than 80..BF after four lead bytes, which would
// otherwise give overlong forms, surrogates or values past U+10FFFF (Unicode 15, table 3-7).
struct Lead {
  std::size_t bytes;  // of the whole code point; 0 for no lead byte
  unsigned char second_first;
  unsigned char second_last;
};

Lead lead_of(unsigned char byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

// Appends the text of `bytes`; returns how many at the end are an incomplete code point.
std::size_t append_text(std::string_view bytes, std::string& text) {
  std::size_t whole = 0;  // start of the run of whole code points not appended yet
  std::size_t at = 0;
  while (at < bytes.size()) {
    const Utf8Sequence next = next_utf8_sequence(bytes.substr(at));
    if (next.kind != Utf8Sequence::Kind::kWhole) {
      text.append(bytes, whole, at - whole);
      if (next.kind == Utf8Sequence::Kind::kIncomplete) return bytes.size() - at;
      text += kReplacement;
      whole = at + next.bytes;
    }
    at += next.bytes;
  }
  text.append(bytes, whole);
  return 0;
}

}  // namespace

Utf8Sequence next_utf8_sequence(std::string_view bytes) {
  using Kind = Utf8Sequence::Kind;
  const Lead lead = lead_of(static_cast<unsigned char>(bytes[0]));
  if (lead.bytes == 1) return {Kind::kWhole, 1};
  if (lead.bytes == 0) return {Kind::kInvalid, 1};
  for (std::size_t i = 1; i < lead.bytes; ++i) {
    if (i == bytes.size()) return {Kind::kIncomplete, i};
    const auto byte = static_cast<unsigned char>(bytes[i]);
    const unsigned char first = i == 1 ? lead.second_first : 0x80;
    const unsigned char last = i == 1 ? lead.second_last : 0xBF;
    if (byte < first || byte > last) return {Kind::kInvalid, i};
  }
  return {Kind::kWhole, lead.bytes};
}

bool is_valid_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const Utf8Sequence next = next_utf8_sequence(bytes);
    if (next.kind != Utf8Sequence::Kind::kWhole) return false;
    bytes.remove_prefix(next.bytes);
  }
  return true;
}

std::string to_valid_utf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  if (append_text(bytes, text) > 0) text += kReplacement;
  return text;
}

void Utf8Stream::push(std::string_view bytes, std::string& text) {
  if (pending_.empty()) {
    const std::size_t rest = append_text(bytes, text);
    pending_ = bytes.substr(bytes.size() - rest);
    return;
  }
  pending_ += bytes;
  const std::size_t rest = append_text(pending_, text);
  pending_.erase(0, pending_.size() - rest);
}

}  // namespace runner
