#include "protocol/json_reader.h"

#include <charconv>
#include <cstdint>
#include <utility>

namespace protocol {
namespace {

// The value of the \uXXXX escape at the start of `text`; nullopt if there is none.
std::optional<std::uint32_t> read_escape(std::string_view text) {
  if (text.size() < 6 || text[0] != '\\' || text[1] != 'u') return std::nullopt;
  std::uint32_t value = 0;
  const char* const end = text.data() + 6;
  const auto [rest, error] = std::from_chars(text.data() + 2, end, value, 16);
  if (error != std::errc() || rest != end) return std::nullopt;
  return value;
}

bool is_high_surrogate(std::uint32_t value) { return value >= 0xd800 && value < 0xdc00; }
bool is_low_surrogate(std::uint32_t value) { return value >= 0xdc00 && value < 0xe000; }

// The length of the escape at the start of `text`, surrogate pairs being one; 0 for a surrogate
// without its other half. Escapes that are no JSON are left to the parser.
std::size_t escape_length(std::string_view text) {
  const std::optional<std::uint32_t> first = read_escape(text);
  if (!first) return 2;
  if (is_low_surrogate(*first)) return 0;
  if (!is_high_surrogate(*first)) return 6;
  const std::optional<std::uint32_t> second = read_escape(text.substr(6));
  return second && is_low_surrogate(*second) ? 12 : 0;
}

// What simdjson does not refuse in all its versions: lone surrogates (1.0 decodes some to other
// characters) and depth (it does not count empty containers). "" if nothing. `text` may be
// anything.
std::string find_fault(std::string_view text) {
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (in_string && c == '\\') {
      const std::size_t length = escape_length(text.substr(i));
      if (length == 0) return "half a surrogate pair, " + std::string(text.substr(i, 6));
      i += length;
      continue;
    }
    ++i;
    if (c == '"') in_string = !in_string;
    if (in_string) continue;
    if (c == '{' || c == '[') {
      if (++depth > JsonDocument::kMaxDepth) {
        return "nested deeper than " + std::to_string(JsonDocument::kMaxDepth);
      }
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return "";
}

// The next of `stops` at or after `begin`, strings and whole objects and arrays passed over.
// REQUIRES: `json` is valid and holds one.
std::size_t find_outside(std::string_view json, std::size_t begin, std::string_view stops) {
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t i = begin;; ++i) {
    const char c = json[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
      continue;
    }
    if (depth == 0 && stops.find(c) != std::string_view::npos) return i;
    if (c == '"') in_string = true;
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
  }
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kBlanks);
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

}  // namespace

JsonDocument::JsonDocument(std::string_view text)
    : parser_(std::make_unique<simdjson::dom::parser>()),
      error_(text.empty() ? "empty text" : find_fault(text)) {
  if (!ok()) return;
  // simdjson's limit is one more than the depth it lets through.
  simdjson::error_code error = parser_->allocate(text.size(), kMaxDepth + 1);
  if (!error) error = parser_->parse(text.data(), text.size()).get(root_);
  if (error == simdjson::UTF8_ERROR) {
    error_ = "not valid UTF-8";
  } else if (error) {
    error_ = simdjson::error_message(error);
  }
}

std::optional<simdjson::dom::element> find_member(simdjson::dom::object object,
                                                  std::string_view key) {
  simdjson::dom::element value;
  if (object.at_key(key).get(value)) return std::nullopt;
  return value;
}

std::string_view member_text(std::string_view json, simdjson::dom::object object,
                             std::string_view key) {
  std::size_t end = json.find('{');
  for (const simdjson::dom::key_value_pair member : object) {
    const std::size_t begin = find_outside(json, end + 1, ":") + 1;
    end = find_outside(json, begin, ",}");
    if (member.key == key) return trim(json.substr(begin, end - begin));
  }
  return {};
}

std::string describe(simdjson::dom::element element) {
  switch (element.type()) {
    case simdjson::dom::element_type::OBJECT:
      return "an object";
    case simdjson::dom::element_type::ARRAY:
      return "an array";
    case simdjson::dom::element_type::STRING:
      return "a string";
    default:
      break;
  }
  std::string text = simdjson::minify(element);  // numbers, booleans and null speak for themselves
  if (element.type() == simdjson::dom::element_type::DOUBLE &&
      text.find_first_of(".e") == std::string::npos) {
    text += ".0";
  }
  return text;
}

}  // namespace protocol
