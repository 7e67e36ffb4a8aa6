#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runner/bf16.h"
#include "runner/mapped_file.h"

namespace runner {

// One tensor of a safetensors file, in the file's own memory: row-major, little-endian, at any
// alignment.
struct TensorView {
  std::string name;
  std::string dtype;                 // as the file says it: "BF16", "F16", "F32", "I64", …
  std::vector<std::int64_t> shape;   // all >= 0; empty for a scalar
  std::span<const std::byte> bytes;  // exactly the values of `shape`
  std::string file;                  // path, for messages

  // Product of `shape`.
  std::size_t values() const;
  // "[2, 3]"
  std::string shape_text() const;
};

// The tensors of one safetensors file or of the shards that an index lists, mapped, with every
// header checked. Immutable; keeps the mappings alive.
//
// Format: https://huggingface.co/docs/safetensors — 8 bytes little-endian header length, a JSON
// object of {"dtype", "shape", "data_offsets"} per tensor, the data. Tensors may share bytes
// (tied weights do); nothing here writes, so that harms nobody.
class Safetensors {
 public:
  // Throws Error(kNotFound) for a missing file and Error(kBadModel) naming file, tensor, expected
  // and actual for a broken one; a Git LFS pointer in its place is recognised.
  static Safetensors open_file(const std::filesystem::path& file);
  // `directory`/model.safetensors, else the shards of `directory`/model.safetensors.index.json.
  static Safetensors open_directory(const std::filesystem::path& directory);

  // nullptr when there is no such tensor.
  const TensorView* find(std::string_view name) const;
  // Throws Error(kBadModel) when there is no such tensor.
  const TensorView& at(std::string_view name) const;
  // The same, checked to have this shape and a dtype of BF16, F16 or F32.
  const TensorView& at(std::string_view name, const std::vector<std::int64_t>& shape) const;

  const std::map<std::string, TensorView, std::less<>>& tensors() const { return tensors_; }
  // Bytes of all files.
  std::size_t file_bytes() const;
  // Asks the kernel to read the files ahead of their use.
  void will_need() const;

 private:
  explicit Safetensors(std::string source) : source_(std::move(source)) {}
  void add_file(const std::filesystem::path& file);

  std::string source_;  // the file or directory, for messages
  std::vector<std::unique_ptr<MappedFile>> files_;
  std::map<std::string, TensorView, std::less<>> tensors_;
};

// The tensor's values as bf16 (f32 and f16 rounded to nearest-even) or as float.
// REQUIRES: out.size() == tensor.values(). Throws Error(kBadModel) for a dtype other than BF16,
// F16 and F32, naming the tensor.
void copy_as_bf16(const TensorView& tensor, std::span<Bf16> out);
std::vector<float> as_floats(const TensorView& tensor);

}  // namespace runner
