#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace runner {

// A word of an expression or a statement.
struct JinjaToken {
  enum class Kind { kName, kString, kNumber, kOperator };
  Kind kind;
  std::string text;  // of a string: its value
};

// A stretch of a template's source.
struct JinjaSegment {
  enum class Kind { kText, kOutput, kStatement };
  Kind kind;
  std::string text;                // of kText, white space that Jinja leaves out left out
  std::vector<JinjaToken> tokens;  // of {{ … }} and {% … %}
};

// Cuts a template as Jinja does with trim_blocks and lstrip_blocks, which is how transformers sets
// it up. Comments give nothing. Throws Error(kBadModel).
std::vector<JinjaSegment> cut_jinja(std::string_view source);

}  // namespace runner
