#pragma once

#include <string_view>

namespace main_llm {

// The version of this program, and of its package (deploy/build-package reads version.cc). Its
// first two numbers are those of the StackFlow llm unit that it stands in for; the end says that it
// is none of M5Stack's.
extern const std::string_view kVersion;      // "1.13.0-soft1"
extern const std::string_view kUnitVersion;  // "1.13", as in the unit's program name

}  // namespace main_llm
