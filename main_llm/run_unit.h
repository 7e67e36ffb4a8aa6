#pragma once

#include "main_llm/model_loader.h"
#include "main_llm/options.h"

namespace main_llm {

// Is the llm unit of an llm-sys, which may come later or be restarted, until SIGINT or SIGTERM;
// the exit status. Prints "answering at SOCKET" on stdout once llm-sys can call. Throws
// protocol::Error when another llm unit is there already, or sockets cannot be made.
int run_unit(const UnitModeOptions& options, ModelLoader& loader);

}  // namespace main_llm
