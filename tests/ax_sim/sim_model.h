#pragma once

#include <cstdint>

// The file format of simulated .axmodel files, which make_sim_model writes and libax_interpreter.so
// reads. Little-endian:
//   ModelHeader, GroupHeader[groups], and with has_weights
//   layer: float32 cosines[positions][head_dim/2], sines[the same], then bf16, matrices row-major
//          [outputs][inputs]: attention norm, q, k, v, with bias the biases of q, k, v, output,
//          mlp norm, gate, up, down
//   post:  bf16 final norm, head [vocab][hidden]
namespace ax_sim {

inline constexpr char kMagic[8] = {'A', 'X', 'S', 'I', 'M', '0', '1', '\n'};
inline constexpr std::uint32_t kMaxGroups = 16;

enum class ModelKind : std::uint32_t { kLayer = 1, kPost = 2 };
// How a group lists K_cache and V_cache.
enum class KvInputs : std::uint32_t { kAbsent = 0, kPlaceholder = 1, kHistory = 2 };

struct ModelHeader {
  char magic[8];
  ModelKind kind;
  std::uint32_t index;  // of the file in its model: the order of tensors depends on it
  std::uint32_t hidden;
  std::uint32_t intermediate;
  std::uint32_t heads;
  std::uint32_t kv_heads;
  std::uint32_t head_dim;
  std::uint32_t vocab;
  std::uint32_t positions;  // entries of the position table
  float norm_epsilon;
  double rope_theta;
  std::uint32_t bias;
  std::uint32_t groups;
  std::uint32_t top_k;  // post: 0 for logits
  std::uint32_t has_weights;
};
static_assert(sizeof(ModelHeader) == 72);

struct GroupHeader {
  std::uint32_t rows;
  std::uint32_t history;       // slots of K_cache and V_cache; 0 without history
  std::uint32_t mask_columns;  // history + rows
  KvInputs kv;
};
static_assert(sizeof(GroupHeader) == 16);

// Bytes of float32 tables and of bf16 weights behind the headers.
inline std::uint64_t table_bytes(const ModelHeader& m) {
  if (m.kind == ModelKind::kPost) return 0;
  return std::uint64_t{m.positions} * m.head_dim * sizeof(float);
}
inline std::uint64_t weight_bytes(const ModelHeader& m) {
  const std::uint64_t hidden = m.hidden;
  if (m.kind == ModelKind::kPost) return 2 * (hidden + m.vocab * hidden);
  const std::uint64_t query = std::uint64_t{m.heads} * m.head_dim;
  const std::uint64_t kv = std::uint64_t{m.kv_heads} * m.head_dim;
  return 2 * (2 * hidden + (2 * query + 2 * kv + 3 * std::uint64_t{m.intermediate}) * hidden +
              (m.bias != 0 ? query + 2 * kv : 0));
}

}  // namespace ax_sim
