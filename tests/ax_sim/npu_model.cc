#include "tests/ax_sim/npu_model.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "tests/ax_sim/ax_abi.h"

namespace ax_sim {
namespace {

// Reads weights one after the other.
class Reader {
 public:
  explicit Reader(const std::byte* from) : from_(from) {}

  std::vector<float> table(std::size_t count) {
    std::vector<float> values(count);
    std::memcpy(values.data(), from_, count * sizeof(float));
    from_ += count * sizeof(float);
    return values;
  }
  std::vector<float> vector(std::size_t count) {
    std::vector<std::uint16_t> bits(count);
    std::memcpy(bits.data(), from_, count * sizeof(std::uint16_t));
    from_ += count * sizeof(std::uint16_t);
    std::vector<float> values(count);
    std::transform(bits.begin(), bits.end(), values.begin(), widen);
    return values;
  }
  void matrix(PackedMatrix& matrix, std::size_t outputs, std::size_t inputs) {
    from_ = matrix.load(from_, outputs, inputs);
  }

 private:
  const std::byte* from_;
};

void load_layer(const ModelHeader& m, Reader from, LayerWeights& layer) {
  const std::size_t query = std::size_t{m.heads} * m.head_dim;
  const std::size_t kv = std::size_t{m.kv_heads} * m.head_dim;
  const std::size_t angles = std::size_t{m.positions} * m.head_dim / 2;
  layer.cosines = from.table(angles);
  layer.sines = from.table(angles);
  layer.attention_norm = from.vector(m.hidden);
  from.matrix(layer.query, query, m.hidden);
  from.matrix(layer.key, kv, m.hidden);
  from.matrix(layer.value, kv, m.hidden);
  if (m.bias != 0) {
    layer.query_bias = from.vector(query);
    layer.key_bias = from.vector(kv);
    layer.value_bias = from.vector(kv);
  }
  from.matrix(layer.output, m.hidden, query);
  layer.mlp_norm = from.vector(m.hidden);
  from.matrix(layer.gate, m.intermediate, m.hidden);
  from.matrix(layer.up, m.intermediate, m.hidden);
  from.matrix(layer.down, m.hidden, m.intermediate);
}

NpuTensor tensor(const char* name, std::int32_t type, std::uint32_t rows, std::uint32_t columns) {
  const std::uint32_t width = type == kTypeBf16 ? 2 : 4;
  const auto r = static_cast<std::int32_t>(rows);
  const auto c = static_cast<std::int32_t>(columns);
  // The vendor's ranks differ too: indices have two dimensions.
  if (type != kTypeBf16) return {name, {r, c, 0}, 2, type, rows * columns * width};
  return {name, {1, r, c}, 3, type, rows * columns * width};
}

// Turns the list, so that no two groups or files that follow each other have the same order.
void turn(NpuTensor* tensors, std::uint32_t count, std::uint32_t index, std::uint32_t group) {
  std::rotate(tensors, tensors + (2 * index + group) % count, tensors + count);
}

NpuGroup layer_group(const ModelHeader& m, const GroupHeader& header, std::uint32_t number) {
  NpuGroup group{};
  group.header = header;
  const std::uint32_t kv = m.kv_heads * m.head_dim;
  const auto input = [&](const NpuTensor& t) { group.inputs[group.input_count++] = t; };
  const auto output = [&](const NpuTensor& t) { group.outputs[group.output_count++] = t; };
  const std::uint32_t slots = header.kv == KvInputs::kHistory ? header.history : 1;
  if (header.kv != KvInputs::kAbsent) input(tensor(kKeys, kTypeBf16, slots, kv));
  input(tensor(kIndices, kTypeUint32, 1, header.rows));
  input(tensor(kInput, kTypeBf16, header.rows, m.hidden));
  input(tensor(kMask, kTypeBf16, header.rows, header.mask_columns));
  if (header.kv != KvInputs::kAbsent) input(tensor(kValues, kTypeBf16, slots, kv));
  output(tensor(kKeysOut, kTypeBf16, header.rows, kv));
  output(tensor(kValuesOut, kTypeBf16, header.rows, kv));
  output(tensor(kOutput, kTypeBf16, header.rows, m.hidden));
  turn(group.inputs, group.input_count, m.index, number);
  turn(group.outputs, group.output_count, m.index, number);
  return group;
}

NpuGroup post_group(const ModelHeader& m) {
  NpuGroup group{};
  group.header.rows = 1;
  group.inputs[group.input_count++] = tensor(kInput, kTypeBf16, 1, m.hidden);
  if (m.top_k == 0) {
    group.outputs[group.output_count++] = tensor(kOutput, kTypeBf16, 1, m.vocab);
  } else {
    group.outputs[group.output_count++] = tensor(kScores, kTypeBf16, 1, m.top_k);
    group.outputs[group.output_count++] = tensor(kIndices, kTypeInt32, 1, m.top_k);
  }
  return group;
}

// What is wrong with the headers, nullptr for nothing.
const char* wrong(const ModelHeader& m, const GroupHeader* groups) {
  if (m.kind != ModelKind::kLayer && m.kind != ModelKind::kPost) return "unknown kind of model";
  if (m.groups == 0 || m.groups > kMaxGroups || m.hidden == 0) return "impossible header";
  if (m.kind == ModelKind::kPost) {
    return m.groups != 1 || m.vocab == 0 || m.top_k > m.vocab ? "impossible post model" : nullptr;
  }
  if (m.heads == 0 || m.kv_heads == 0 || m.heads % m.kv_heads != 0 || m.head_dim == 0 ||
      m.head_dim % 2 != 0 || m.intermediate == 0 || m.positions == 0) {
    return "impossible layer";
  }
  for (std::uint32_t g = 0; g < m.groups; ++g) {
    const GroupHeader& group = groups[g];
    const bool history = group.kv == KvInputs::kHistory;
    if (group.rows == 0 || group.mask_columns != group.history + group.rows ||
        history != (group.history > 0)) {
      return "impossible group";
    }
  }
  return nullptr;
}

}  // namespace

NpuModel* NpuModel::parse(const std::byte* data, std::size_t bytes, bool free, const char** why) {
  auto model = std::make_unique<NpuModel>();
  ModelHeader& m = model->header;
  *why = "not a simulated model";
  if (bytes < sizeof m || std::memcmp(data, kMagic, sizeof kMagic) != 0) return nullptr;
  std::memcpy(&m, data, sizeof m);
  *why = "shorter than its header says";
  GroupHeader groups[kMaxGroups] = {};
  const std::size_t group_bytes = std::min(m.groups, kMaxGroups) * sizeof(GroupHeader);
  if (bytes < sizeof m + group_bytes) return nullptr;
  std::memcpy(groups, data + sizeof m, group_bytes);
  if (const char* problem = wrong(m, groups); problem != nullptr) {
    *why = problem;
    return nullptr;
  }
  const std::size_t start = sizeof m + group_bytes;
  if (m.has_weights != 0 && bytes - start < table_bytes(m) + weight_bytes(m)) return nullptr;
  *why = "a model without weights needs AX_SIM_FREE=1";
  if (m.has_weights == 0 && !free) return nullptr;

  model->free = free;
  for (std::uint32_t g = 0; g < m.groups; ++g) {
    model->groups.push_back(m.kind == ModelKind::kPost ? post_group(m)
                                                       : layer_group(m, groups[g], g));
  }
  if (free) return model.release();
  Reader from(data + start);
  if (m.kind == ModelKind::kLayer) {
    load_layer(m, from, model->layer);
  } else {
    model->post.norm = from.vector(m.hidden);
    from.matrix(model->post.head, m.vocab, m.hidden);
  }
  return model.release();
}

}  // namespace ax_sim
