#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "runner/engine.h"
#include "runner/npu/device.h"
#include "runner/npu/layer_layout.h"

namespace runner {

// Where the graphs of a model are, and what its description says of them.
struct NpuModelFiles {
  std::vector<std::filesystem::path> layers;
  std::filesystem::path post;
  int hidden = 0;  // tokens_embed_size
  int vocab = 0;   // tokens_embed_num
  // Layers are loaded for each run and dropped after it: slow, for models larger than the memory.
  bool load_layers_on_demand = false;
};

// Of all files together. Throws Error: kNotFound naming all that are missing, kBadModel for the
// first that is none, as where git clone left a Git LFS pointer.
std::uint64_t file_bytes(const NpuModelFiles& files);

struct NpuModelOptions {
  int context = 0;                            // most rows of a conversation
  std::optional<std::uint64_t> memory_bytes;  // of the NPU, free; nullopt where unknown
  std::function<void(double)> progress;       // fraction done, on the loading thread
};

// A graph of one layer, loaded.
struct NpuLayer {
  std::unique_ptr<NpuGraph> graph;
  std::vector<LayerBinding> bindings;  // of each group
};

// The graphs of a model, shared by its engines. Immutable after loading. Threads: any.
class NpuModel {
 public:
  // Loads all graphs (with load_layers_on_demand the first layer and the last graph) and checks
  // them against each other and the description.
  // Throws Error: kNotFound, kBadModel naming file, tensor, expected and actual; kOutOfMemory
  // with the numbers, before anything is loaded where the files' sizes tell, else before the
  // second layer; kEngineFailed.
  NpuModel(std::shared_ptr<NpuDevice> device, NpuModelFiles files, const NpuModelOptions& options);

  NpuDevice& device() const { return *device_; }
  const ModelShape& shape() const { return shape_; }
  const LayerLayout& layout() const { return layout_; }
  const std::vector<ShapeGroup>& groups() const { return groups_; }
  const PostLayout& post_layout() const { return post_layout_; }
  NpuGraph& post() const { return *post_; }
  int slots() const { return slots_; }  // most K/V rows that any group binds

  // Calls use(layer) with one that is loaded, for the time of the call where it must be.
  template <typename Use>
  void with_layer(int index, const Use& use) const {
    if (files_.load_layers_on_demand) {
      use(load_layer(index));
    } else {
      use(layers_[static_cast<std::size_t>(index)]);
    }
  }

  // Some engine failed in this model: who needs one from now on should load it anew.
  bool is_broken() const { return is_broken_; }
  void mark_broken() const { is_broken_ = true; }

 private:
  NpuLayer load_layer(int index) const;
  void read_shapes(const NpuModelOptions& options);
  void check_memory(const NpuModelOptions& options, std::uint64_t all_file_bytes) const;

  std::shared_ptr<NpuDevice> device_;
  const NpuModelFiles files_;
  std::vector<NpuLayer> layers_;
  std::unique_ptr<NpuGraph> post_;
  LayerLayout layout_;
  PostLayout post_layout_;
  std::vector<ShapeGroup> groups_;
  ModelShape shape_;
  int slots_ = 0;
  mutable std::atomic<bool> is_broken_ = false;
};

}  // namespace runner
