#pragma once

#include "main_llm/model_loader.h"
#include "main_llm/options.h"

namespace main_llm {

// Runs gateway and unit in this process until SIGINT or SIGTERM; the exit status. Prints
// "listening on ADDRESS:PORT" on stdout once clients can connect. Throws protocol::Error when it
// cannot listen.
int serve(const ServeOptions& options, ModelLoader& loader);

}  // namespace main_llm
