#pragma once

#include <exception>

#include "protocol/error.h"
#include "runner/error.h"

namespace main_llm {

// The one table from failures to wire errors. `otherwise` is the code of the action under way:
// kModelLoading in setup, kModelRun in an inference; soft prefix errors have a code of their own.
protocol::WireError to_wire_error(std::exception_ptr failure, protocol::WireCode otherwise);

}  // namespace main_llm
