#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runner/npu/device.h"
#include "runner/npu/prefill_plan.h"

// What the graphs of a model that pulsar2 compiled ("axmodel") take and give: one graph for each
// layer, with one group for each shape, and one for the final norm and the vocabulary. Tensors are
// found by name and understood by their sizes; their order means nothing.
//
// Letters below: rows per call P, hidden size D, width of a K or V row E, K/V rows that a group
// sees H. Everything is bf16 but `indices`, which are uint32.
namespace runner {

// The places of a layer's tensors, as a graph wants them bound.
enum class LayerTensor : std::uint8_t {
  kKeys,       // K_cache [slots, E]; the history
  kValues,     // V_cache
  kIndices,    // indices [P]: positions of the rows
  kInput,      // input [P, D]
  kMask,       // mask [P, H + P]: what each row sees; first the history, then this call's rows
  kNewKeys,    // K_cache_out [P, E]
  kNewValues,  // V_cache_out
  kOutput,     // output [P, D]
};
inline constexpr std::size_t kLayerTensors = 8;

// The order of one group's tensors.
struct LayerBinding {
  std::vector<LayerTensor> inputs;
  std::vector<LayerTensor> outputs;
};

struct LayerGroup {
  ShapeGroup shape;
  int slots = 0;  // K/V rows bound as history; 0 when the group has no such inputs
  friend bool operator==(const LayerGroup& left, const LayerGroup& right) {
    return left.shape.rows == right.shape.rows && left.shape.history == right.shape.history &&
           left.slots == right.slots;
  }
};

struct LayerLayout {
  int hidden = 0;
  int kv_width = 0;
  std::vector<LayerGroup> groups;
  friend bool operator==(const LayerLayout&, const LayerLayout&) = default;
};

// Throws Error(kBadModel) naming file, group, tensor, expected and actual.
LayerLayout read_layer_layout(const NpuGraph& graph, const std::string& file);

// For every group of a graph. REQUIRES: read_layer_layout() accepted it.
std::vector<LayerBinding> read_layer_bindings(const NpuGraph& graph);

// The last graph: `input` [D] to `output` [vocab] logits, or with a top-k to `indices` [list] and
// their probabilities.
struct PostLayout {
  int hidden = 0;
  int vocab = 0;                             // 0 for a list
  int list_tokens = 0;                       // 0 for logits
  std::size_t result = 0;                    // the output with logits or indices
  std::optional<std::size_t> probabilities;  // the output with a list's probabilities
  std::vector<std::size_t> output_bytes;
};

// Throws Error(kBadModel) like read_layer_layout().
PostLayout read_post_layout(const NpuGraph& graph, const std::string& file);

}  // namespace runner
