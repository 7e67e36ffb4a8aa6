#pragma once

#include <memory>

#include "runner/text/prompt_encoder.h"
#include "tests/scripted/scripted_engine.h"

namespace scripted {

// Bytes and marks as tokens; see "Rows" in tests/scripted/README.md.
std::unique_ptr<runner::PromptEncoder> make_scripted_encoder(std::shared_ptr<const Script> script,
                                                             std::shared_ptr<const Counts> counts);

}  // namespace scripted
