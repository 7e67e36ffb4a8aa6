#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace runner {

// The beginning of `text` for an error message: at most `max_bytes`, cut at a code point, with
// "…" where something was left out.
inline std::string excerpt(std::string_view text, std::size_t max_bytes = 80) {
  if (text.size() <= max_bytes) return std::string(text);
  std::size_t end = max_bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return std::string(text.substr(0, end)) + "…";
}

}  // namespace runner
