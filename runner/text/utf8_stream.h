#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace runner {

// Bytes that come in any pieces to text of whole UTF-8 code points. A model's tokens are bytes:
// one token may end in the middle of a character that the next one completes.
//
// Bytes that can never become a code point are replaced by U+FFFD, one for each maximal subpart
// (Unicode 15, section 3.9, the policy of Rust's from_utf8_lossy and so of HuggingFace's
// tokenizers): for any split of the same bytes the pieces put together are the same text.
class Utf8Stream {
 public:
  // Appends the text that `bytes` complete to `text`. What may still become a code point, at most
  // 3 bytes, waits for the next call; at the end of an answer it is dropped with this object.
  void push(std::string_view bytes, std::string& text);

 private:
  std::string pending_;
};

// The bytes at the start of `bytes` that form one code point, or would if the text went on.
struct Utf8Sequence {
  enum class Kind {
    kWhole,       // `bytes` of them are a code point
    kIncomplete,  // all bytes there are could be the start of a code point
    kInvalid,     // `bytes` of them, at least one, are a maximal subpart that no byte completes
  };
  Kind kind;
  std::size_t bytes;
};

// REQUIRES: !bytes.empty().
Utf8Sequence next_utf8_sequence(std::string_view bytes);

bool is_valid_utf8(std::string_view bytes);

// `bytes` with U+FFFD in place of every invalid or incomplete sequence.
std::string to_valid_utf8(std::string_view bytes);

}  // namespace runner
