#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "runner/safetensors.h"

namespace runner {

// The array in the bytes of a .npy file, as a view of them without a name; `file` is its path, for
// messages. Float32 and float16 values ("<f4", "<f2"), row by row.
//
// Format: numpy's `format.py` — "\x93NUMPY", a version (1 to 3), the header's length (2 bytes, or
// 4 from version 2 on, little-endian), a Python dict of descr, fortran_order and shape, the values.
//
// Throws Error(kBadModel) naming the file, what was wrong and what was expected; a Git LFS pointer
// in its place is recognised.
TensorView parse_npy(std::span<const std::byte> bytes, const std::string& file);

}  // namespace runner
