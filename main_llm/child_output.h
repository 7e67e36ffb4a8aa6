#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace main_llm {

// What a program (looked for in PATH) prints on stdout, to its last newline included. nullopt when
// it cannot be started, does not end with status 0, or has not closed its output by the deadline:
// then it is killed. At most 1 MiB is kept.
std::optional<std::string> child_output(const std::vector<std::string>& command,
                                        std::chrono::milliseconds deadline);

}  // namespace main_llm
