#include "runner/text/nfc.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace runner {
namespace {

// Room for the canonical decomposition of one code point; the longest ones have four (U+1F82).
constexpr std::size_t kMostDecomposed = 8;

// Below U+0300 every text is in form C. 0xCC is the lead byte of U+0300.
bool is_plainly_nfc(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char byte) { return static_cast<unsigned char>(byte) < 0xCC; });
}

std::vector<std::int32_t> decompose(std::string_view text) {
  constexpr auto kOptions =
      static_cast<utf8proc_option_t>(static_cast<int>(UTF8PROC_STABLE) | UTF8PROC_DECOMPOSE);
  std::vector<std::int32_t> points;
  points.reserve(text.size());
  const auto* at = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  const auto* end = at + text.size();
  int last_boundclass = 0;
  while (at < end) {
    std::int32_t point = 0;
    at += std::max<utf8proc_ssize_t>(1, utf8proc_iterate(at, end - at, &point));
    if (point < 0) continue;
    std::int32_t parts[kMostDecomposed];
    const utf8proc_ssize_t count =
        utf8proc_decompose_char(point, parts, kMostDecomposed, kOptions, &last_boundclass);
    points.insert(points.end(), parts, parts + std::max<utf8proc_ssize_t>(0, count));
  }
  return points;
}

int combining_class(std::int32_t point) { return utf8proc_get_property(point)->combining_class; }

// utf8proc's own reordering takes quadratic time in the length of a run of marks, and anybody can
// send a megabyte of them.
void sort_marks(std::vector<std::int32_t>& points) {
  const auto is_mark = [](std::int32_t point) { return combining_class(point) != 0; };
  auto at = points.begin();
  while (at != points.end()) {
    const auto first = std::find_if(at, points.end(), is_mark);
    at = std::find_if_not(first, points.end(), is_mark);
    std::stable_sort(first, at, [](std::int32_t left, std::int32_t right) {
      return combining_class(left) < combining_class(right);
    });
  }
}

}  // namespace

std::string to_nfc(std::string_view text) {
  if (is_plainly_nfc(text)) return std::string(text);
  std::vector<std::int32_t> points = decompose(text);
  sort_marks(points);
  constexpr auto kOptions =
      static_cast<utf8proc_option_t>(static_cast<int>(UTF8PROC_STABLE) | UTF8PROC_COMPOSE);
  const utf8proc_ssize_t count = utf8proc_normalize_utf32(
      points.data(), static_cast<utf8proc_ssize_t>(points.size()), kOptions);
  points.resize(static_cast<std::size_t>(std::max<utf8proc_ssize_t>(0, count)));

  std::string result;
  result.reserve(text.size());
  for (const std::int32_t point : points) {
    utf8proc_uint8_t bytes[4];
    const utf8proc_ssize_t length = utf8proc_encode_char(point, bytes);
    result.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(length));
  }
  return result;
}

}  // namespace runner
