#pragma once

#include <vector>

#include "tests/ax_sim/npu_math.h"
#include "tests/ax_sim/sim_npu.h"

// A simulated .axmodel in memory.
namespace ax_sim {

inline constexpr char kIndices[] = "indices";
inline constexpr char kInput[] = "input";
inline constexpr char kMask[] = "mask";
inline constexpr char kKeys[] = "K_cache";
inline constexpr char kValues[] = "V_cache";
inline constexpr char kKeysOut[] = "K_cache_out";
inline constexpr char kValuesOut[] = "V_cache_out";
inline constexpr char kOutput[] = "output";
inline constexpr char kScores[] = "scores";

inline constexpr std::uint16_t kVisible = 0x0000;
inline constexpr std::uint16_t kHidden = 0xC780;  // -65536

struct LayerWeights {
  std::vector<float> cosines;  // [positions][head_dim/2]
  std::vector<float> sines;
  std::vector<float> attention_norm;
  PackedMatrix query, key, value;
  std::vector<float> query_bias, key_bias, value_bias;  // empty without biases
  PackedMatrix output;
  std::vector<float> mlp_norm;
  PackedMatrix gate, up, down;
};

struct PostWeights {
  std::vector<float> norm;
  PackedMatrix head;
};

// State of the imitated post model under AX_SIM_FREE: what it left in each buffer.
struct FreeLogits {
  std::uint64_t phy = 0;
  std::vector<std::uint32_t> changed;
};

class NpuModel {
 public:
  // nullptr when the bytes are not a complete model; `why` says what is wrong.
  static NpuModel* parse(const std::byte* data, std::size_t bytes, bool free, const char** why);

  ModelHeader header{};
  bool free = false;  // computes nothing
  std::vector<NpuGroup> groups;
  LayerWeights layer;
  PostWeights post;
  // Scratch of run_layer, kept because fresh pages cost more than what is put there.
  std::vector<float> history_keys;
  std::vector<float> history_values;

  std::uint64_t runs = 0;
  std::vector<FreeLogits> free_logits;
};

// The bound tensor of that name, nullptr when the group has none.
inline std::byte* find_tensor(const NpuTensor* tensors, std::uint32_t count,
                              const NpuBinding* bindings, const char* name) {
  for (std::uint32_t i = 0; i < count; ++i) {
    if (tensors[i].name == name) return bindings[i].data;
  }
  return nullptr;
}

// One run of a group: its tensors in device memory, nullptr where the group lists none.
struct LayerIo {
  const std::byte* indices;  // uint32
  const std::byte* input;    // the rest bf16
  const std::byte* mask;
  const std::byte* keys;
  const std::byte* values;
  std::byte* keys_out;
  std::byte* values_out;
  std::byte* output;
};

// npu_layer.cc; returns the number of rows that see something.
std::size_t run_layer(NpuModel& model, const GroupHeader& group, const LayerIo& io);
// npu_post.cc
void run_post(NpuModel& model, const std::byte* input, std::byte* output, std::byte* indices,
              std::byte* scores);
void run_free_post(NpuModel& model, const NpuGroup& group, const NpuBinding* outputs);

}  // namespace ax_sim
