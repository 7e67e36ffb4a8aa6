#define PCRE2_CODE_UNIT_WIDTH 8
#include "runner/text/regex.h"

#include <pcre2.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "runner/error.h"
#include "runner/excerpt.h"

namespace runner {
namespace {

// Steps of one match: PCRE2's own default, and some for every byte, because one match may span a
// whole prompt.
constexpr std::size_t kMatchSteps = 10'000'000;
constexpr std::size_t kMatchStepsPerByte = 4;

struct FreeMatchData {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct FreeMatchContext {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};

// White space is Unicode's White_Space for Oniguruma. PCRE2's \s has U+180E too, which Unicode
// took out in version 6.3; therefore \s and \S are written out.
std::string with_unicode_space(std::string_view pattern) {
  constexpr std::string_view kSpace = R"(\t-\r\x{85}\p{Z})";
  std::string result;
  bool in_class = false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char byte = pattern[i];
    if (byte == '\\' && i + 1 < pattern.size()) {
      const char escaped = pattern[++i];
      if (escaped == 's' && in_class) {
        result += kSpace;
      } else if (escaped == 's' || (escaped == 'S' && !in_class)) {
        result += escaped == 's' ? "[" : "[^";
        (result += kSpace) += ']';
      } else {
        (result += '\\') += escaped;
      }
      continue;
    }
    if (byte == '[') in_class = true;
    if (byte == ']') in_class = false;
    result += byte;
  }
  return result;
}

std::string error_text(int code) {
  PCRE2_UCHAR text[256] = {};
  pcre2_get_error_message(code, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

PCRE2_SPTR units(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

std::uint32_t match_limit(std::size_t bytes) {
  const std::size_t steps = kMatchSteps + kMatchStepsPerByte * bytes;
  return static_cast<std::uint32_t>(
      std::min<std::size_t>(steps, std::numeric_limits<std::uint32_t>::max()));
}

bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U; }

}  // namespace

struct Regex::Code {
  explicit Code(pcre2_code* compiled) : pcre2(compiled) {}
  ~Code() { pcre2_code_free(pcre2); }
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
  pcre2_code* pcre2;
};

Regex::Regex(const std::string& pattern) : pattern_(pattern) {
  const std::string translated = with_unicode_space(pattern);
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* compiled = pcre2_compile(units(translated), translated.size(), PCRE2_UTF | PCRE2_UCP,
                                       &error, &offset, nullptr);
  if (compiled == nullptr) {
    throw Error(ErrorCode::kBadModel, "regular expression \"" + excerpt(pattern, 200) +
                                          "\" at byte " + std::to_string(offset) + ": " +
                                          error_text(error));
  }
  code_ = std::make_shared<const Code>(compiled);
  // Where there is no JIT compiler for this processor, matching works without.
  pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE);
}

void Regex::find_all(std::string_view text, std::vector<TextRange>& ranges) const {
  ranges.clear();
  const std::unique_ptr<pcre2_match_data, FreeMatchData> data(
      pcre2_match_data_create_from_pattern(code_->pcre2, nullptr));
  const std::unique_ptr<pcre2_match_context, FreeMatchContext> context(
      pcre2_match_context_create(nullptr));
  if (!data || !context) throw Error(ErrorCode::kOutOfMemory, "no memory to match a text");
  pcre2_set_match_limit(context.get(), match_limit(text.size()));

  // Looking for bad UTF-8 in each call would read the rest of the text each time.
  constexpr std::uint32_t kOptions = PCRE2_NO_UTF_CHECK;
  std::size_t at = 0;
  while (at < text.size()) {
    int found = pcre2_match(code_->pcre2, units(text), text.size(), at, kOptions, data.get(),
                            context.get());
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) {
      found = pcre2_match(code_->pcre2, units(text), text.size(), at, kOptions | PCRE2_NO_JIT,
                          data.get(), context.get());
    }
    if (found == PCRE2_ERROR_NOMATCH) return;
    if (found < 0) {
      throw Error(ErrorCode::kBadModel, "regular expression \"" + excerpt(pattern_, 200) +
                                            "\" cannot be matched: " + error_text(found));
    }
    const PCRE2_SIZE* place = pcre2_get_ovector_pointer(data.get());
    // \K inside a lookahead can give a start behind the end, or before what was matched already.
    const TextRange range{std::max<std::size_t>(place[0], at), place[1]};
    if (range.begin < range.end) {
      ranges.push_back(range);
      at = range.end;
    } else {
      at = std::max(at, range.end) + 1;
      while (at < text.size() && is_continuation(text[at])) ++at;
    }
  }
}

}  // namespace runner
