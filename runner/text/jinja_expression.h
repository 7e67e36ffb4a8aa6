#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "runner/text/jinja_lexer.h"
#include "runner/text/jinja_value.h"

namespace runner {

// The value of an expression. `look_up` gives variables, undefined where there is none.
// Throws Error(kBadModel) for a mistake in it or what is not known here.
JinjaValue evaluate_jinja(std::span<const JinjaToken> tokens,
                          const std::function<JinjaValue(std::string_view name)>& look_up);

}  // namespace runner
