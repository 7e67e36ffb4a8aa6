#pragma once

#include <string>
#include <string_view>

#include "runner/text/jinja_value.h"

namespace runner {

// What Python's str.strip() takes away, and with other `characters` those. `left`, `right`: at
// which ends.
std::string_view strip_text(std::string_view text, bool left = true, bool right = true);

// `value.name(…)`, `value | name(…)` and `value is name`. Throw Error(kBadModel) for what is not
// known here.
JinjaValue call_method(const JinjaValue& object, std::string_view name, const JinjaCall& call);
JinjaValue apply_filter(const JinjaValue& value, std::string_view name, const JinjaCall& call);
bool passes_test(const JinjaValue& value, std::string_view name);

// The text that {{ value }} writes.
std::string to_output(const JinjaValue& value);

bool is_equal(const JinjaValue& left, const JinjaValue& right);
bool is_in(const JinjaValue& item, const JinjaValue& container);

// namespace(), raise_exception() and range().
JinjaDict jinja_globals();

// Throws for what must not be a member of a list or a namespace: they could hold themselves.
void check_simple(const JinjaValue& value);

// Throws where a text would have more bytes than any conversation of a probe needs.
std::string checked_text(std::string text);

}  // namespace runner
