// Feeds any bytes to the reader of safetensors files: each tensor must be of bytes of the file and
// of as many as its shape says, and be read whole, or else runner::Error.

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "runner/error.h"
#include "runner/safetensors.h"

namespace {

// In memory where there is such a folder.
std::filesystem::path safetensors_path() {
  const std::filesystem::path memory = "/dev/shm";
  const auto base =
      std::filesystem::exists(memory) ? memory : std::filesystem::temp_directory_path();
  return base / ("safetensors_fuzz." + std::to_string(getpid()));
}

struct WeightsFile {
  WeightsFile() : path(safetensors_path()) {}
  ~WeightsFile() { std::filesystem::remove(path); }
  std::filesystem::path path;
};

void read_tensor(const runner::TensorView& tensor) {
  try {
    if (as_floats(tensor).size() != tensor.values()) std::abort();
  } catch (const runner::Error&) {
    // Of another type than those that are read.
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const WeightsFile file;
  std::ofstream(file.path, std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  try {
    const auto weights = runner::Safetensors::open_file(file.path);
    for (const auto& [name, tensor] : weights.tensors()) read_tensor(tensor);
  } catch (const runner::Error&) {
    // What a broken file is to give.
  }
  return 0;
}
