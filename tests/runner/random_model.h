#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

// Small model files for tests, written where the test needs them.

// A folder that is deleted with this object.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

void write_file(const std::filesystem::path& file, const std::string& content);

struct TestTensor {
  std::string name;
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::string bytes;
};

// Little-endian bytes of `values` in "BF16" (nearest-even), "F16" (REQUIRES: exact in it) or "F32".
std::string encode(const std::vector<float>& values, const std::string& dtype);

// header_padding spaces lengthen the header: an odd number puts the data at odd addresses.
std::string safetensors_bytes(const std::vector<TestTensor>& tensors, int header_padding = 0);
// Header text and data as they are, with the length in front.
std::string safetensors_bytes(const std::string& header, const std::string& data);

struct RandomModel {
  std::string family = "qwen2";  // "qwen3": norms of queries and keys; "llama"
  bool attention_bias = false;   // of the latter two; qwen2 has its own
  bool llama3_rope = false;      // positions scaled from 40
  int layers = 2;
  int hidden = 32;
  int intermediate = 48;
  int heads = 4;
  int kv_heads = 2;
  int head_dim = 8;
  int vocab = 50;
  int positions = 160;
  bool tied = true;
  std::string dtype = "BF16";
  int shards = 1;
  int header_padding = 0;
  unsigned seed = 1;
};

// Writes config.json and the safetensors. The values depend on seed and shape alone and are exact
// in all three dtypes.
void write_random_model(const std::filesystem::path& directory, const RandomModel& model);
