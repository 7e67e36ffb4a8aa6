#pragma once

#include <filesystem>

#include "runner/soft_prefix.h"

namespace runner {

// Reads a soft prefix from a safetensors file: one bf16, f16 or f32 tensor `prompt_embeddings` of
// shape [rows, hidden], the key under which HuggingFace PEFT stores prompt tuning. Floats are
// rounded to nearest-even bf16. Throws Error: kNotFound, kBadModel (a broken file),
// kBadSoftPrefix (another shape or width, NaN or infinity) naming the file.
SoftPrefix read_soft_prefix_file(const std::filesystem::path& path, int hidden);

}  // namespace runner
