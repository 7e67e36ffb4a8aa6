#pragma once

#include <string_view>

namespace main_llm {

// The version of this program. Its first two numbers are those of the StackFlow llm unit that it
// stands in for.
extern const std::string_view kVersion;      // "1.13.0"
extern const std::string_view kUnitVersion;  // "1.13", as in the unit's program name

}  // namespace main_llm
