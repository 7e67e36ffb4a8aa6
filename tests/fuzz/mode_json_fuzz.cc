// Feeds any bytes to what reads a model's mode json, as one of any unit's and as one for the NPU:
// files it names must be in the model's folder, or else runner::Error. Its settings are the same
// as those of post_config.json.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "runner/error.h"
#include "runner/mode_params.h"
#include "runner/model_directory.h"
#include "runner/npu/npu_description.h"

namespace {

void check_inside(const std::filesystem::path& file) {
  const std::string path = file.lexically_normal().string();
  if (!path.starts_with("/model/") && path != "/model") std::abort();
}

// Runs what may answer a broken file with runner::Error, and with nothing else.
template <typename Work>
void attempt(const Work& work) {
  try {
    work();
  } catch (const runner::Error&) {
    // Said what is wrong.
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  attempt([&] {
    if (runner::parse_mode_json(text, "mode_fuzz.json").json != text) std::abort();
  });
  attempt([&] {
    const auto description = runner::read_npu_description("/model", text, "mode_fuzz.json");
    for (const auto& layer : description.graphs.layers) check_inside(layer);
    check_inside(description.graphs.post);
    check_inside(description.embeddings);
  });
  attempt([&] { (void)runner::parse_mode_params(text); });
  return 0;
}
