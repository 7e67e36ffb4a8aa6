// Feeds any bytes to the reader of .npy files: a view must be of bytes of the input and of as many
// as its shape says, or else runner::Error.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "runner/error.h"
#include "runner/npy.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    const runner::TensorView array = runner::parse_npy(bytes, "fuzz.npy");
    if (array.values() != array.bytes.size() / (array.dtype == "F32" ? 4 : 2)) std::abort();
    (void)as_floats(array);
  } catch (const runner::Error&) {
    // What a broken file is to give.
  }
  return 0;
}
