#pragma once

#include <string>

namespace main_llm {

// Sends the log to stderr, one line per event. `level`: trace, debug, info, warn, error or off.
// Call once, before threads start. Throws std::invalid_argument for another level.
void set_up_logging(const std::string& level);

}  // namespace main_llm
