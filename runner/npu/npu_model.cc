#include "runner/npu/npu_model.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "runner/error.h"
#include "runner/file_text.h"

namespace runner {
namespace {

// No compiled graph is this small; what is, is a leftover of a copy.
constexpr std::size_t kLeastGraphBytes = 64;

// Before the NPU's library sees it, which may crash at anything else.
void check_graph_file(const MappedFile& file) {
  const auto& path = file.path();
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                              file.bytes().size());
  if (is_git_lfs_pointer(text)) {
    throw Error(ErrorCode::kBadModel, path.string() + ": " + kIsGitLfsPointer);
  }
  if (text.size() < kLeastGraphBytes) {
    throw Error(ErrorCode::kBadModel, path.string() + ": has " + std::to_string(text.size()) +
                                          " bytes, too few for an axmodel");
  }
  if (text.size() > UINT32_MAX) {
    throw Error(ErrorCode::kBadModel, path.string() + ": has more than 4 GiB");
  }
}

std::unique_ptr<NpuGraph> load_graph(NpuDevice& device, const std::filesystem::path& path) {
  const MappedFile file(path);
  check_graph_file(file);
  return device.load(file);
}

std::string mebibytes(std::uint64_t bytes) { return std::to_string(bytes >> 20U) + " MiB"; }

void check_room(std::uint64_t needed, const NpuModelOptions& options, const char* what) {
  if (!options.memory_bytes || needed <= *options.memory_bytes) return;
  throw Error(ErrorCode::kOutOfMemory,
              "the model needs " + mebibytes(needed) + " of NPU memory (CMM) for " + what + ", " +
                  mebibytes(*options.memory_bytes) +
                  " are free; another unit's model may be using it, or choose a smaller one");
}

}  // namespace

std::uint64_t file_bytes(const NpuModelFiles& files) {
  std::uint64_t bytes = 0;
  std::string missing;
  const auto add = [&](const std::filesystem::path& path) {
    std::error_code error;
    if (std::filesystem::exists(path, error)) {
      const MappedFile file(path);
      check_graph_file(file);
      bytes += file.bytes().size();
    } else {
      missing += (missing.empty() ? path.string() : ", " + path.filename().string());
    }
  };
  std::for_each(files.layers.begin(), files.layers.end(), add);
  add(files.post);
  if (!missing.empty()) throw Error(ErrorCode::kNotFound, missing + ": not there");
  return bytes;
}

NpuModel::NpuModel(std::shared_ptr<NpuDevice> device, NpuModelFiles files,
                   const NpuModelOptions& options)
    : device_(std::move(device)), files_(std::move(files)) {
  const std::uint64_t all_file_bytes = file_bytes(files_);
  if (!files_.load_layers_on_demand) check_room(all_file_bytes, options, "its weights");

  const std::size_t steps = files_.layers.size() + 1;
  const auto report = [&](std::size_t done) {
    if (options.progress) options.progress(static_cast<double>(done) / static_cast<double>(steps));
  };
  post_ = load_graph(*device_, files_.post);
  report(1);
  for (int i = 0; i < static_cast<int>(files_.layers.size()); ++i) {
    layers_.push_back(load_layer(i));
    if (i == 0) {
      read_shapes(options);
      check_memory(options, all_file_bytes);
    }
    if (files_.load_layers_on_demand) {
      layers_.clear();
      break;
    }
    report(static_cast<std::size_t>(i) + 2);
  }
  report(steps);
}

NpuLayer NpuModel::load_layer(int index) const {
  const auto& path = files_.layers[static_cast<std::size_t>(index)];
  NpuLayer layer;
  layer.graph = load_graph(*device_, path);
  if (LayerLayout layout = read_layer_layout(*layer.graph, path.string());
      layout_.hidden != 0 && layout != layout_) {
    throw Error(ErrorCode::kBadModel, path.string() +
                                          ": its tensors have other sizes than those of " +
                                          files_.layers.front().string());
  }
  layer.bindings = read_layer_bindings(*layer.graph);
  return layer;
}

void NpuModel::read_shapes(const NpuModelOptions& options) {
  const std::string file = files_.layers.front().string();
  layout_ = read_layer_layout(*layers_.front().graph, file);
  post_layout_ = read_post_layout(*post_, files_.post.string());
  const auto expect = [](const std::string& where, const char* key, int actual, int expected) {
    if (actual == expected) return;
    throw Error(ErrorCode::kBadModel, where + ": is made for " + std::to_string(actual) + ", " +
                                          key + " is " + std::to_string(expected));
  };
  expect(file + ": hidden size", "tokens_embed_size", layout_.hidden, files_.hidden);
  expect(files_.post.string() + ": hidden size", "tokens_embed_size", post_layout_.hidden,
         files_.hidden);
  if (post_layout_.vocab > 0) {
    expect(files_.post.string() + ": vocabulary", "tokens_embed_num", post_layout_.vocab,
           files_.vocab);
  }
  int context = 0;
  for (const LayerGroup& group : layout_.groups) {
    groups_.push_back(group.shape);
    slots_ = std::max({slots_, group.slots, group.shape.history});
    if (group.shape.rows == 1) context = std::max(context, group.shape.history);
  }
  shape_ = {static_cast<int>(files_.layers.size()), layout_.hidden, files_.vocab,
            std::min(context, options.context)};
}

void NpuModel::check_memory(const NpuModelOptions& options, std::uint64_t all_file_bytes) const {
  const std::uint64_t kv = std::uint64_t{2} * static_cast<std::uint64_t>(shape_.layers) *
                           static_cast<std::uint64_t>(slots_) *
                           static_cast<std::uint64_t>(layout_.kv_width) * sizeof(Bf16);
  std::uint64_t scratch = 0;
  for (const LayerGroup& group : layout_.groups) {
    const auto rows = static_cast<std::uint64_t>(group.shape.rows);
    scratch = std::max(scratch, rows * sizeof(Bf16) *
                                    (2 * static_cast<std::uint64_t>(layout_.hidden) +
                                     2 * static_cast<std::uint64_t>(layout_.kv_width) + rows +
                                     static_cast<std::uint64_t>(group.shape.history)));
  }
  const std::uint64_t weights = files_.load_layers_on_demand ? 0 : all_file_bytes;
  check_room(weights + kv + scratch, options, "its weights, K/V rows and buffers");
}

}  // namespace runner
