#include "runner/npu/layer_layout.h"

#include <algorithm>
#include <map>
#include <string_view>

#include "runner/bf16.h"
#include "runner/error.h"

namespace runner {
namespace {

using TensorBytes = std::map<std::string, std::size_t, std::less<>>;

struct NamedTensor {
  std::string_view name;
  LayerTensor tensor;
};
constexpr std::array<NamedTensor, 5> kLayerInputs{{{"K_cache", LayerTensor::kKeys},
                                                   {"V_cache", LayerTensor::kValues},
                                                   {"indices", LayerTensor::kIndices},
                                                   {"input", LayerTensor::kInput},
                                                   {"mask", LayerTensor::kMask}}};
constexpr std::array<NamedTensor, 3> kLayerOutputs{{{"K_cache_out", LayerTensor::kNewKeys},
                                                    {"V_cache_out", LayerTensor::kNewValues},
                                                    {"output", LayerTensor::kOutput}}};

class GroupReader {
 public:
  GroupReader(std::string place, const NpuGroup& group) : place_(std::move(place)) {
    for (const auto* tensors : {&group.inputs, &group.outputs}) {
      for (const NpuTensor& tensor : *tensors) bytes_[tensor.name] = tensor.bytes;
    }
  }

  bool has(std::string_view name) const { return bytes_.contains(name); }

  // How many units of `unit_bytes` a tensor holds.
  int count(std::string_view name, std::size_t unit_bytes, const char* unit) const {
    const auto tensor = bytes_.find(name);
    if (tensor == bytes_.end()) fail("there is no tensor " + std::string(name));
    if (tensor->second == 0 || unit_bytes == 0 || tensor->second % unit_bytes != 0) {
      fail(std::string(name) + " has " + std::to_string(tensor->second) +
           " bytes, expected a multiple of " + std::to_string(unit_bytes) + " (" + unit + ")");
    }
    return static_cast<int>(tensor->second / unit_bytes);
  }

  void expect(std::string_view name, int actual, int expected) const {
    if (actual != expected) {
      fail(std::string(name) + " has rows of " + std::to_string(actual) + " values, expected " +
           std::to_string(expected));
    }
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::kBadModel, place_ + ": " + what);
  }

 private:
  std::string place_;
  TensorBytes bytes_;
};

template <std::size_t kCount>
void check_names(const GroupReader& reader, const std::vector<NpuTensor>& tensors,
                 const std::array<NamedTensor, kCount>& known) {
  for (const NpuTensor& tensor : tensors) {
    const auto matches = [&](const NamedTensor& named) { return named.name == tensor.name; };
    if (std::none_of(known.begin(), known.end(), matches)) {
      reader.fail("tensor " + tensor.name + " is not one of a decoder layer");
    }
  }
}

template <std::size_t kCount>
std::vector<LayerTensor> order_of(const std::vector<NpuTensor>& tensors,
                                  const std::array<NamedTensor, kCount>& known) {
  std::vector<LayerTensor> order;
  for (const NpuTensor& tensor : tensors) {
    order.push_back(std::find_if(known.begin(), known.end(), [&](const NamedTensor& named) {
                      return named.name == tensor.name;
                    })->tensor);
  }
  return order;
}

LayerGroup read_group(const GroupReader& reader, LayerLayout& layout) {
  LayerGroup group;
  group.shape.rows = reader.count("indices", sizeof(std::uint32_t), "positions");
  const auto row_of = [&](std::string_view name) {
    return reader.count(name, sizeof(Bf16) * static_cast<std::size_t>(group.shape.rows),
                        "rows of bf16");
  };
  const int hidden = row_of("input");
  const int kv_width = row_of("K_cache_out");
  if (layout.hidden == 0) {
    layout.hidden = hidden;
    layout.kv_width = kv_width;
  }
  reader.expect("input", hidden, layout.hidden);
  reader.expect("output", row_of("output"), layout.hidden);
  reader.expect("K_cache_out", kv_width, layout.kv_width);
  reader.expect("V_cache_out", row_of("V_cache_out"), layout.kv_width);

  const int columns = row_of("mask");
  group.shape.history = columns - group.shape.rows;
  if (group.shape.history < 0) {
    reader.fail("mask has " + std::to_string(columns) + " columns for " +
                std::to_string(group.shape.rows) + " rows");
  }
  if (reader.has("K_cache")) {
    const std::size_t kv_row = sizeof(Bf16) * static_cast<std::size_t>(layout.kv_width);
    group.slots = reader.count("K_cache", kv_row, "K/V rows");
    if (reader.count("V_cache", kv_row, "K/V rows") != group.slots) {
      reader.fail("K_cache and V_cache have different sizes");
    }
  }
  if (group.slots < group.shape.history) {
    reader.fail("mask has " + std::to_string(group.shape.history) +
                " columns of history, K_cache " + std::to_string(group.slots) + " rows");
  }
  return group;
}

std::string place_of(const std::string& file, std::size_t group) {
  return file + ", group " + std::to_string(group);
}

}  // namespace

LayerLayout read_layer_layout(const NpuGraph& graph, const std::string& file) {
  LayerLayout layout;
  for (std::size_t i = 0; i < graph.groups().size(); ++i) {
    const NpuGroup& group = graph.groups()[i];
    const GroupReader reader(place_of(file, i), group);
    check_names(reader, group.inputs, kLayerInputs);
    check_names(reader, group.outputs, kLayerOutputs);
    layout.groups.push_back(read_group(reader, layout));
  }
  if (std::none_of(layout.groups.begin(), layout.groups.end(), [](const LayerGroup& group) {
        return group.shape.rows == 1 && group.shape.history > 0;
      })) {
    throw Error(ErrorCode::kBadModel, file + ": there is no group that decodes one row");
  }
  return layout;
}

std::vector<LayerBinding> read_layer_bindings(const NpuGraph& graph) {
  std::vector<LayerBinding> bindings;
  for (const NpuGroup& group : graph.groups()) {
    bindings.push_back(
        {order_of(group.inputs, kLayerInputs), order_of(group.outputs, kLayerOutputs)});
  }
  return bindings;
}

PostLayout read_post_layout(const NpuGraph& graph, const std::string& file) {
  const NpuGroup& group = graph.groups()[0];
  const GroupReader reader(place_of(file, 0), group);
  PostLayout layout;
  layout.hidden = reader.count("input", sizeof(Bf16), "bf16");
  if (group.inputs.size() != 1) reader.fail("it has inputs besides \"input\"");
  for (const NpuTensor& tensor : group.outputs) layout.output_bytes.push_back(tensor.bytes);
  const auto find = [&](std::string_view name) -> std::optional<std::size_t> {
    for (std::size_t i = 0; i < group.outputs.size(); ++i) {
      if (group.outputs[i].name == name) return i;
    }
    return std::nullopt;
  };
  if (const auto output = find("output")) {
    layout.result = *output;
    layout.vocab = reader.count("output", sizeof(Bf16), "bf16");
    return layout;
  }
  const auto indices = find("indices");
  if (!indices) reader.fail("there is neither an output \"output\" nor \"indices\"");
  layout.result = *indices;
  layout.list_tokens = reader.count("indices", sizeof(std::int32_t), "int32");
  const auto list = static_cast<std::size_t>(layout.list_tokens);
  for (std::size_t i = 0; i < group.outputs.size(); ++i) {
    const std::size_t bytes = group.outputs[i].bytes;
    if (i != *indices && (bytes == list * sizeof(Bf16) || bytes == list * sizeof(float))) {
      layout.probabilities = i;
    }
  }
  if (!layout.probabilities && layout.list_tokens > 1) {
    reader.fail("no output gives the probabilities of its " + std::to_string(list) + " indices");
  }
  return layout;
}

}  // namespace runner
