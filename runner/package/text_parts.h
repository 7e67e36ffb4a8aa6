#pragma once

#include "runner/package/parts.h"

namespace runner {

// Finds the tokenizer and the defaults of the samplers: the folder asked for, or else the first of
// those below that has a tokenizer, a tokenizer.json rather than another kind.
//   DIR/tokenizer  DIR  DIR/*tokenizer*      DIR the folder of the graphs, then the one given
// Samplers: post_config.json of AXERA's ax-llm (its keys are StackFlow's), or else the tokenizer's
// generation_config.json. Reads parts.directory; adds to parts what it finds and what is missing.
void find_text_parts(const PartsWanted& wanted, PackageParts& parts);

}  // namespace runner
