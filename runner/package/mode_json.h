#pragma once

#include <string>

#include "runner/package/plan.h"

namespace runner {

// The text of mode_NAME.json for complete parts, with StackFlow's keys: this program and an
// unmodified llm unit read the same file. `embeddings` is the name of the bf16 file.
std::string mode_json_text(const PackageOptions& options, const PackageParts& parts,
                           const std::string& embeddings);

}  // namespace runner
