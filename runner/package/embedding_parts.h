#pragma once

#include <optional>
#include <vector>

#include "runner/package/parts.h"
#include "runner/package/size_hints.h"

namespace runner {

// Finds the table of embeddings beside the graphs, and among `hints` the one whose sizes agree with
// it, which is returned; what is missing or does not agree is added to parts.problems.
std::optional<SizeHint> find_embedding_parts(const PartsWanted& wanted, std::vector<SizeHint> hints,
                                             PackageParts& parts);

}  // namespace runner
