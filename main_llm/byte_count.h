#pragma once

#include <cstdint>
#include <string>

namespace main_llm {

// For people: "512 B", "1.5 MiB", "310 MiB".
std::string byte_count(std::uint64_t bytes);

}  // namespace main_llm
