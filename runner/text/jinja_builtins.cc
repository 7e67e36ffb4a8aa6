#include "runner/text/jinja_builtins.h"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "runner/text/utf8_stream.h"

namespace runner {
namespace {

constexpr std::size_t kMostResultBytes = 1U << 16U;
constexpr std::int64_t kMostRange = 1000;

// Python's str.isspace() for one code point.
bool is_python_space(std::string_view character) {
  if (character.size() == 1) {
    const auto c = static_cast<unsigned char>(character[0]);
    return c == ' ' || (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x1F);
  }
  constexpr std::string_view kOthers[] = {"\u0085", "\u00a0", "\u1680", "\u2000", "\u2001",
                                          "\u2002", "\u2003", "\u2004", "\u2005", "\u2006",
                                          "\u2007", "\u2008", "\u2009", "\u200a", "\u2028",
                                          "\u2029", "\u202f", "\u205f", "\u3000"};
  return std::find(std::begin(kOthers), std::end(kOthers), character) != std::end(kOthers);
}

std::size_t first_character_bytes(std::string_view text) { return next_utf8_sequence(text).bytes; }

std::size_t last_character_bytes(std::string_view text) {
  std::size_t bytes = 1;
  while (bytes < text.size() && bytes < 4 &&
         (static_cast<unsigned char>(text[text.size() - bytes]) & 0xC0U) == 0x80U) {
    ++bytes;
  }
  return bytes;
}

std::string_view strip_characters(std::string_view text, std::string_view characters, bool left,
                                  bool right) {
  if (left) text.remove_prefix(std::min(text.find_first_not_of(characters), text.size()));
  if (right) text = text.substr(0, text.find_last_not_of(characters) + 1);
  return text;
}

const std::string& text_argument(const JinjaCall& call, std::size_t index, std::string_view of) {
  const std::string* text =
      index < call.positional.size() ? call.positional[index].text() : nullptr;
  if (text == nullptr) fail_jinja(std::string(of) + "() without a string");
  return *text;
}

std::string change_case(std::string text, int (*change)(int)) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) >= 0x80) fail_jinja("upper or lower case beyond ASCII");
    c = static_cast<char>(change(static_cast<unsigned char>(c)));
  }
  return text;
}

JinjaList split_text(std::string_view text, const std::string& separator) {
  if (separator.empty()) fail_jinja("split() by nothing");
  JinjaList parts;
  for (;;) {
    const std::size_t at = text.find(separator);
    parts.emplace_back(std::string(text.substr(0, at)));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + separator.size());
  }
}

std::string replace_text(std::string_view text, const std::string& from, const std::string& to) {
  if (from.empty()) fail_jinja("replace() of nothing");
  std::string result;
  for (std::size_t at; (at = text.find(from)) != std::string_view::npos;) {
    result.append(text.substr(0, at)).append(to);
    text.remove_prefix(at + from.size());
    result = checked_text(std::move(result));
  }
  return result.append(text);
}

JinjaValue call_text_method(const std::string& text, std::string_view name, const JinjaCall& call) {
  if (name == "strip" || name == "lstrip" || name == "rstrip") {
    const bool left = name != "rstrip";
    const bool right = name != "lstrip";
    return call.positional.empty()
               ? std::string(strip_text(text, left, right))
               : std::string(strip_characters(text, text_argument(call, 0, name), left, right));
  }
  if (name == "startswith")
    return JinjaValue::of_bool(text.starts_with(text_argument(call, 0, name)));
  if (name == "endswith") return JinjaValue::of_bool(text.ends_with(text_argument(call, 0, name)));
  if (name == "split" && call.positional.size() == 1) {
    return split_text(text, text_argument(call, 0, name));
  }
  if (name == "replace" && call.positional.size() == 2) {
    return replace_text(text, text_argument(call, 0, name), text_argument(call, 1, name));
  }
  if (name == "upper") return change_case(text, std::toupper);
  if (name == "lower") return change_case(text, std::tolower);
  fail_jinja("the method " + std::string(name) + "() of a string is not supported");
}

std::int64_t length_of(const JinjaValue& value) {
  if (const std::string* text = value.text()) {
    return std::count_if(text->begin(), text->end(),
                         [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; });
  }
  if (const JinjaList* list = value.list()) return static_cast<std::int64_t>(list->size());
  if (const JinjaDict* dict = value.dict()) return static_cast<std::int64_t>(dict->size());
  if (value.is_undefined()) return 0;
  fail_jinja("the length of something that has none");
}

}  // namespace

std::string_view strip_text(std::string_view text, bool left, bool right) {
  while (left && !text.empty()) {
    const std::size_t bytes = first_character_bytes(text);
    if (!is_python_space(text.substr(0, bytes))) break;
    text.remove_prefix(bytes);
  }
  while (right && !text.empty()) {
    const std::size_t bytes = last_character_bytes(text);
    if (!is_python_space(text.substr(text.size() - bytes))) break;
    text.remove_suffix(bytes);
  }
  return text;
}

JinjaValue call_method(const JinjaValue& object, std::string_view name, const JinjaCall& call) {
  if (const std::string* text = object.text()) return call_text_method(*text, name, call);
  const JinjaDict* dict = object.dict();
  if (dict == nullptr) fail_jinja("the method " + std::string(name) + "() is not supported");
  if (const auto member = dict->find(name); member != dict->end()) {
    if (const JinjaFunction* function = member->second.function()) return (*function)(call);
  }
  if (name == "get" && !call.positional.empty()) {
    const auto member = dict->find(text_argument(call, 0, name));
    if (member != dict->end()) return member->second;
    return call.positional.size() > 1 ? call.positional[1] : JinjaValue(JinjaValue::None{});
  }
  fail_jinja("the method " + std::string(name) + "() of a dictionary is not supported");
}

JinjaValue apply_filter(const JinjaValue& value, std::string_view name, const JinjaCall& call) {
  if (name == "trim" && call.positional.empty()) return std::string(strip_text(to_output(value)));
  if (name == "length" || name == "count") return length_of(value);
  if (name == "string") return to_output(value);
  if (name == "upper") return change_case(to_output(value), std::toupper);
  if (name == "lower") return change_case(to_output(value), std::tolower);
  if ((name == "default" || name == "d") && !call.positional.empty()) {
    const bool for_false_too = call.positional.size() > 1 && call.positional[1].is_true();
    const bool is_there = for_false_too ? value.is_true() : !value.is_undefined();
    return is_there ? value : call.positional[0];
  }
  if (name == "list" && value.list() != nullptr) return value;
  if ((name == "first" || name == "last") && value.list() != nullptr) {
    const JinjaList& list = *value.list();
    return list.empty() ? JinjaValue() : name == "first" ? list.front() : list.back();
  }
  fail_jinja("the filter " + std::string(name) + " is not supported");
}

bool passes_test(const JinjaValue& value, std::string_view name) {
  if (name == "defined") return !value.is_undefined();
  if (name == "undefined") return value.is_undefined();
  if (name == "none") return value.is_none();
  if (name == "string") return value.text() != nullptr;
  if (name == "mapping") return value.dict() != nullptr;
  if (name == "iterable" || name == "sequence") {
    return value.text() != nullptr || value.list() != nullptr || value.dict() != nullptr;
  }
  const bool* truth = value.get<bool>();
  if (name == "true") return truth != nullptr && *truth;
  if (name == "false") return truth != nullptr && !*truth;
  if (name == "boolean") return truth != nullptr;
  if (name == "number" || name == "integer") return value.get<std::int64_t>() != nullptr;
  fail_jinja("the test " + std::string(name) + " is not supported");
}

std::string to_output(const JinjaValue& value) {
  if (const std::string* text = value.text()) return *text;
  if (const auto* number = value.get<std::int64_t>()) return std::to_string(*number);
  if (const auto* truth = value.get<bool>()) return *truth ? "True" : "False";
  if (value.is_undefined()) return "";
  if (value.is_none()) return "None";
  fail_jinja("writing a list or a dictionary is not supported");
}

bool is_equal(const JinjaValue& left, const JinjaValue& right) {
  if (const std::string* text = left.text())
    return right.text() != nullptr && *text == *right.text();
  if (const auto* number = left.get<std::int64_t>()) {
    const auto* other = right.get<std::int64_t>();
    return other != nullptr && *number == *other;
  }
  if (const auto* truth = left.get<bool>()) {
    const auto* other = right.get<bool>();
    return other != nullptr && *truth == *other;
  }
  if (left.is_none() || left.is_undefined()) return left.value.index() == right.value.index();
  if (right.is_none() || right.is_undefined() || right.text() != nullptr) return false;
  fail_jinja("comparing lists or dictionaries is not supported");
}

bool is_in(const JinjaValue& item, const JinjaValue& container) {
  if (const std::string* text = container.text()) {
    if (item.text() == nullptr) fail_jinja("\"in\" a string asks for a string");
    return text->find(*item.text()) != std::string::npos;
  }
  if (const JinjaDict* dict = container.dict()) {
    return item.text() != nullptr && dict->contains(*item.text());
  }
  const JinjaList* list = container.list();
  if (list == nullptr) fail_jinja("\"in\" something that holds nothing");
  return std::any_of(list->begin(), list->end(),
                     [&item](const JinjaValue& member) { return is_equal(member, item); });
}

JinjaDict jinja_globals() {
  JinjaDict globals;
  globals["namespace"] = JinjaFunction([](const JinjaCall& call) {
    for (const auto& [name, value] : call.named) check_simple(value);
    return call.named;
  });
  globals["raise_exception"] = JinjaFunction([](const JinjaCall& call) -> JinjaValue {
    throw JinjaRaised(call.positional.empty() ? "" : to_output(call.positional[0]));
  });
  globals["range"] = JinjaFunction([](const JinjaCall& call) -> JinjaValue {
    std::int64_t bounds[2] = {0, 0};
    const std::size_t given = call.positional.size();
    for (std::size_t i = 0; i < given && i < 2; ++i) {
      const auto* number = call.positional[i].get<std::int64_t>();
      if (number == nullptr) fail_jinja("range() of something that is no number");
      bounds[given == 1 ? 1 : i] = *number;
    }
    if (given < 1 || given > 2 || bounds[0] < -kMostRange || bounds[1] > kMostRange) {
      fail_jinja("a range() like this is not supported");
    }
    JinjaList list;
    for (std::int64_t i = bounds[0]; i < bounds[1]; ++i) list.emplace_back(i);
    return list;
  });
  return globals;
}

void check_simple(const JinjaValue& value) {
  if (value.dict() != nullptr) fail_jinja("a dictionary within another is not supported");
}

std::string checked_text(std::string text) {
  if (text.size() > kMostResultBytes) fail_jinja("a text grows beyond 64 KiB");
  return text;
}

}  // namespace runner
