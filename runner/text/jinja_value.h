#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "runner/error.h"

namespace runner {

struct JinjaValue;
struct JinjaCall;
using JinjaList = std::vector<JinjaValue>;
using JinjaDict = std::map<std::string, JinjaValue, std::less<>>;
using JinjaFunction = std::function<JinjaValue(const JinjaCall&)>;

// What a Jinja expression can be. Lists and dictionaries are shared, as in Python.
struct JinjaValue {
  struct Undefined {};
  struct None {};

  JinjaValue() = default;
  JinjaValue(None) : value(None{}) {}
  JinjaValue(std::int64_t number) : value(number) {}
  JinjaValue(std::string text) : value(std::move(text)) {}
  JinjaValue(JinjaList list);
  JinjaValue(JinjaDict dict);
  JinjaValue(JinjaFunction function);
  // Not a constructor: pointers would become it.
  static JinjaValue of_bool(bool truth) {
    JinjaValue result;
    result.value = truth;
    return result;
  }

  template <typename Kind>
  const Kind* get() const {
    return std::get_if<Kind>(&value);
  }
  const std::string* text() const { return get<std::string>(); }
  const JinjaList* list() const;
  const JinjaDict* dict() const;
  const JinjaFunction* function() const;
  bool is_undefined() const { return get<Undefined>() != nullptr; }
  bool is_none() const { return get<None>() != nullptr; }

  // As Python sees it: empty, 0, none and undefined are false.
  bool is_true() const;

  std::variant<Undefined, None, bool, std::int64_t, std::string, std::shared_ptr<JinjaList>,
               std::shared_ptr<JinjaDict>, std::shared_ptr<JinjaFunction>>
      value;
};

struct JinjaCall {
  JinjaList positional;
  JinjaDict named;
};

inline JinjaValue::JinjaValue(JinjaList list)
    : value(std::make_shared<JinjaList>(std::move(list))) {}
inline JinjaValue::JinjaValue(JinjaDict dict)
    : value(std::make_shared<JinjaDict>(std::move(dict))) {}
inline JinjaValue::JinjaValue(JinjaFunction function)
    : value(std::make_shared<JinjaFunction>(std::move(function))) {}

inline const JinjaList* JinjaValue::list() const {
  const auto* held = get<std::shared_ptr<JinjaList>>();
  return held != nullptr ? held->get() : nullptr;
}
inline const JinjaDict* JinjaValue::dict() const {
  const auto* held = get<std::shared_ptr<JinjaDict>>();
  return held != nullptr ? held->get() : nullptr;
}
inline const JinjaFunction* JinjaValue::function() const {
  const auto* held = get<std::shared_ptr<JinjaFunction>>();
  return held != nullptr ? held->get() : nullptr;
}

inline bool JinjaValue::is_true() const {
  if (const auto* truth = get<bool>()) return *truth;
  if (const auto* number = get<std::int64_t>()) return *number != 0;
  if (const auto* string = text()) return !string->empty();
  if (const auto* items = list()) return !items->empty();
  if (const auto* members = dict()) return !members->empty();
  return function() != nullptr;
}

// raise_exception() in a template: it does not take the conversation. what() is what it says.
class JinjaRaised : public Error {
 public:
  explicit JinjaRaised(const std::string& message) : Error(ErrorCode::kBadModel, message) {}
};

// Something of Jinja that is not known here, or a mistake in the template.
[[noreturn]] inline void fail_jinja(const std::string& what) {
  throw Error(ErrorCode::kBadModel, what);
}

}  // namespace runner
