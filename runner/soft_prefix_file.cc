#include "runner/soft_prefix_file.h"

#include <string>
#include <utility>
#include <vector>

#include "runner/error.h"
#include "runner/safetensors.h"

namespace runner {

SoftPrefix read_soft_prefix_file(const std::filesystem::path& path, int hidden) {
  constexpr const char* kTensor = "prompt_embeddings";
  const Safetensors file = Safetensors::open_file(path);
  const TensorView& tensor = file.at(kTensor);
  if (tensor.shape.size() != 2 || tensor.shape[1] != hidden) {
    throw Error(ErrorCode::kBadSoftPrefix, path.string() + ": " + kTensor + " has shape " +
                                               tensor.shape_text() + ", expected [rows, " +
                                               std::to_string(hidden) + "]");
  }
  std::vector<Bf16> values(tensor.values());
  copy_as_bf16(tensor, values);
  try {
    return SoftPrefix(std::move(values), hidden);
  } catch (const Error& error) {
    throw Error(error.code(), path.string() + ": " + error.what());
  }
}

}  // namespace runner
