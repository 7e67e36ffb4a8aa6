#include "runner/npu/ax_device.h"

#include <mutex>
#include <string>
#include <system_error>
#include <utility>

#include "runner/error.h"

namespace runner {
namespace {

constexpr std::uint32_t kOutOfCmm = 0x800B0018U;

[[noreturn]] void fail_call(const std::string& call, std::int32_t code) {
  throw Error(ErrorCode::kEngineFailed, call + " fails with " + ax_code_text(code));
}

// No text is made where all is well: this is called many times for each token.
void check_call(const char* call, std::int32_t code) {
  if (code != 0) fail_call(call, code);
}

// The initialised runtime. Threads: any; the library serialises what must be.
class AxRuntime {
 public:
  AxRuntime(std::shared_ptr<const AxLibrary> library, const std::filesystem::path& root)
      : ax_(std::move(library)) {
    // Nothing may be called after a failure: the libraries crash.
    if (const std::int32_t code = ax_->AX_SYS_Init(); code != 0) {
      std::error_code error;
      const bool has_driver = std::filesystem::exists(root / "dev/ax_sys", error);
      fail_call(std::string("AX_SYS_Init") +
                    (has_driver ? "" : " (there is no /dev/ax_sys: is the NPU's driver loaded?)"),
                code);
    }
    ax::NpuAttr attr;
    // A mode that another unit has chosen is kept; before the first it tells nothing.
    if (ax_->AX_ENGINE_GetVNPUAttr == nullptr || ax_->AX_ENGINE_GetVNPUAttr(&attr) != 0) attr = {};
    if (const std::int32_t code = ax_->AX_ENGINE_Init(&attr); code != 0) {
      ax_->AX_SYS_Deinit();
      fail_call("AX_ENGINE_Init", code);
    }
  }
  ~AxRuntime() {
    ax_->AX_ENGINE_Deinit();
    ax_->AX_SYS_Deinit();
  }
  AxRuntime(const AxRuntime&) = delete;
  AxRuntime& operator=(const AxRuntime&) = delete;

  const AxLibrary* operator->() const { return ax_.get(); }

 private:
  std::shared_ptr<const AxLibrary> ax_;
};

using AxRuntimePtr = std::shared_ptr<const AxRuntime>;

class AxMemory : public NpuMemory {
 public:
  AxMemory(AxRuntimePtr ax, std::size_t bytes, const char* tag) : ax_(std::move(ax)) {
    slice_.bytes = round_up(bytes, kCacheLine);
    const std::string what = "AX_SYS_MemAllocCached of " + std::to_string(slice_.bytes) + " bytes";
    if (slice_.bytes > UINT32_MAX) {
      throw Error(ErrorCode::kOutOfMemory, what + ": a block has less than 4 GiB");
    }
    void* host = nullptr;
    const std::int32_t code = (*ax_)->AX_SYS_MemAllocCached(
        &slice_.address, &host, static_cast<std::uint32_t>(slice_.bytes), kTensorAlignment,
        reinterpret_cast<const signed char*>(tag));
    if (static_cast<std::uint32_t>(code) == kOutOfCmm) {
      throw Error(ErrorCode::kOutOfMemory, what + " fails with " + ax_code_text(code));
    }
    if (code != 0) fail_call(what, code);
    slice_.host = static_cast<std::byte*>(host);
  }
  ~AxMemory() override { (*ax_)->AX_SYS_MemFree(slice_.address, slice_.host); }

 private:
  AxRuntimePtr ax_;
};

class AxGraph : public NpuGraph {
 public:
  AxGraph(AxRuntimePtr ax, const MappedFile& file)
      : ax_(std::move(ax)), name_(file.path().filename().string()) {
    const auto bytes = static_cast<std::uint32_t>(file.bytes().size());
    // CreateHandle may crash at bytes that are no model, so they are asked about before.
    std::int32_t type = 0;
    if ((*ax_)->AX_ENGINE_GetModelType != nullptr &&
        (*ax_)->AX_ENGINE_GetModelType(file.bytes().data(), bytes, &type) != 0) {
      throw Error(ErrorCode::kBadModel, file.path().string() + ": is not an axmodel");
    }
    const std::int32_t code = (*ax_)->AX_ENGINE_CreateHandle(&handle_, file.bytes().data(), bytes);
    if (static_cast<std::uint32_t>(code) == kOutOfCmm) {
      throw Error(
          ErrorCode::kOutOfMemory,
          file.path().string() + ": AX_ENGINE_CreateHandle fails with " + ax_code_text(code));
    }
    if (code != 0) fail_call(file.path().string() + ": AX_ENGINE_CreateHandle", code);
    try {
      open();
    } catch (...) {
      (*ax_)->AX_ENGINE_DestroyHandle(handle_);
      throw;
    }
  }
  ~AxGraph() override { (*ax_)->AX_ENGINE_DestroyHandle(handle_); }

  std::span<const NpuGroup> groups() const override { return groups_; }

  void run(std::size_t group, std::span<const NpuSlice> inputs,
           std::span<const NpuSlice> outputs) override {
    const std::lock_guard lock(mutex_);
    bind(inputs, inputs_);
    bind(outputs, outputs_);
    io_.input_count = static_cast<std::uint32_t>(inputs.size());
    io_.output_count = static_cast<std::uint32_t>(outputs.size());
    const std::int32_t code = (*ax_)->AX_ENGINE_RunGroupIOSync(
        handle_, context_, static_cast<std::uint32_t>(group), &io_);
    if (code != 0) {
      fail_call("AX_ENGINE_RunGroupIOSync of " + name_ + ", group " + std::to_string(group), code);
    }
  }

 private:
  void open() {
    // StackFlow makes the default context too, though only the explicit one is used.
    check("AX_ENGINE_CreateContext", (*ax_)->AX_ENGINE_CreateContext(handle_));
    check("AX_ENGINE_CreateContextV2", (*ax_)->AX_ENGINE_CreateContextV2(handle_, &context_));
    std::uint32_t count = 1;
    if ((*ax_)->AX_ENGINE_GetGroupIOInfoCount != nullptr) {
      check("AX_ENGINE_GetGroupIOInfoCount",
            (*ax_)->AX_ENGINE_GetGroupIOInfoCount(handle_, &count));
    }
    for (std::uint32_t group = 0; group < count; ++group) {
      ax::IoDesc* description = nullptr;
      check("AX_ENGINE_GetGroupIOInfo",
            (*ax_)->AX_ENGINE_GetGroupIOInfo(handle_, group, &description));
      groups_.push_back({tensors(description->inputs, description->input_count),
                         tensors(description->outputs, description->output_count)});
      inputs_.resize(std::max(inputs_.size(), groups_.back().inputs.size()));
      outputs_.resize(std::max(outputs_.size(), groups_.back().outputs.size()));
    }
    io_.inputs = inputs_.data();
    io_.outputs = outputs_.data();
  }

  void check(const char* function, std::int32_t code) const {
    if (code != 0) fail_call(name_ + ": " + function, code);
  }

  static std::vector<NpuTensor> tensors(const ax::TensorDesc* first, std::uint32_t count) {
    std::vector<NpuTensor> list;
    for (const ax::TensorDesc& tensor : std::span(first, count)) {
      list.push_back({tensor.name == nullptr ? "" : tensor.name, tensor.bytes});
    }
    return list;
  }

  static void bind(std::span<const NpuSlice> slices, std::vector<ax::IoBuffer>& buffers) {
    for (std::size_t i = 0; i < slices.size(); ++i) {
      buffers[i].physical = slices[i].address;
      buffers[i].virtual_address = slices[i].host;
      buffers[i].bytes = static_cast<std::uint32_t>(slices[i].bytes);
    }
  }

  AxRuntimePtr ax_;
  std::string name_;
  ax::Handle handle_ = nullptr;
  ax::Context context_ = nullptr;
  std::vector<NpuGroup> groups_;
  std::mutex mutex_;  // whether a handle bears two threads is not known
  std::vector<ax::IoBuffer> inputs_;
  std::vector<ax::IoBuffer> outputs_;
  ax::IoRun io_;
};

class AxDevice : public NpuDevice {
 public:
  explicit AxDevice(AxRuntimePtr ax) : ax_(std::move(ax)) {}

  std::unique_ptr<NpuMemory> allocate(std::size_t bytes, const char* tag) override {
    return std::make_unique<AxMemory>(ax_, bytes, tag);
  }
  void to_npu(const NpuSlice& slice) override {
    check_call("AX_SYS_MflushCache",
               (*ax_)->AX_SYS_MflushCache(slice.address, slice.host,
                                          static_cast<std::uint32_t>(slice.bytes)));
  }
  void from_npu(const NpuSlice& slice) override {
    check_call("AX_SYS_MinvalidateCache",
               (*ax_)->AX_SYS_MinvalidateCache(slice.address, slice.host,
                                               static_cast<std::uint32_t>(slice.bytes)));
  }
  std::unique_ptr<NpuGraph> load(const MappedFile& file) override {
    return std::make_unique<AxGraph>(ax_, file);
  }

 private:
  AxRuntimePtr ax_;
};

}  // namespace

std::shared_ptr<NpuDevice> make_ax_device(std::shared_ptr<const AxLibrary> library,
                                          const std::filesystem::path& root) {
  return std::make_shared<AxDevice>(std::make_shared<const AxRuntime>(std::move(library), root));
}

}  // namespace runner
