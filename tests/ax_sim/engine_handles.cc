#include "tests/ax_sim/engine_handles.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <mutex>

#include "tests/ax_sim/sim_sys.h"

namespace ax_sim {
namespace {

constexpr std::int32_t kModes = 2;
constexpr std::int32_t kRowMajor = 1;  // what compilers write for a layout
constexpr std::uintptr_t kFirstHandle = 0xA1000000;

struct Engine {
  std::mutex mutex;
  int inits = 0;
  std::int32_t mode = 0;
  std::uintptr_t next = kFirstHandle;
  std::map<void*, std::shared_ptr<EngineHandle>> handles;
};

Engine& engine() {
  static Engine& instance = *new Engine;
  return instance;
}

// Post models by the number of their handle, to be found without waiting.
std::array<std::atomic<NpuModel*>, 256> free_posts;

void* new_number(Engine& e) {
  e.next += 16;
  return reinterpret_cast<void*>(e.next);
}

// The vendor's library calls libm without asking for it, so does this one: volatile, lest the
// compiler computes it.
void use_libm() {
  volatile float one = 1.0F;
  one = expf(one) + sqrtf(one);
}

std::vector<TensorDesc> describe(const NpuTensor* tensors, std::uint32_t count) {
  std::vector<TensorDesc> descs(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    descs[i] = {};
    descs[i].name = tensors[i].name;
    descs[i].shape = tensors[i].shape;
    descs[i].rank = tensors[i].rank;
    descs[i].layout = kRowMajor;
    descs[i].data_type = tensors[i].type;
    descs[i].bytes = tensors[i].bytes;
  }
  return descs;
}

std::unique_ptr<GroupDesc> describe(const NpuGroup& group) {
  auto desc = std::make_unique<GroupDesc>();
  desc->inputs = describe(group.inputs, group.input_count);
  desc->outputs = describe(group.outputs, group.output_count);
  desc->io.inputs = desc->inputs.data();
  desc->io.input_count = group.input_count;
  desc->io.outputs = desc->outputs.data();
  desc->io.output_count = group.output_count;
  desc->io.max_batch = 1;
  return desc;
}

std::int32_t create(const char* function, void** out, const void* data, std::uint32_t bytes) {
  if (const std::int32_t code = enter(function); code != 0) return code;
  if (out == nullptr || data == nullptr || bytes == 0) {
    AX_SIM_Violation("%s: NULL or no bytes", function);
    return kNpuArgument;
  }
  auto handle = std::make_shared<EngineHandle>();
  handle->model.reset(AX_NPU_Open(data, bytes));
  if (handle->model == nullptr) return -1;
  const ModelHeader& header = *AX_NPU_Header(handle->model.get());
  handle->name =
      header.kind == ModelKind::kPost ? "post model" : "layer " + std::to_string(header.index);
  handle->cmm_bytes = table_bytes(header) + weight_bytes(header);
  if (const std::int32_t code = AX_SIM_TakeCmm(handle->cmm_bytes); code != 0) return code;
  for (std::uint32_t g = 0; g < header.groups; ++g) {
    handle->groups.push_back(describe(*AX_NPU_Group(handle->model.get(), g)));
  }
  Engine& e = engine();
  const std::lock_guard lock(e.mutex);
  *out = new_number(e);
  if (AX_SIM_IsFree() && header.kind == ModelKind::kPost) {
    free_posts[(e.next - kFirstHandle) / 16 % free_posts.size()] = handle->model.get();
  }
  e.handles[*out] = std::move(handle);
  AX_SIM_Count(Count::kLiveHandles, 1);
  return 0;
}

void release(const EngineHandle& handle) {
  AX_SIM_GiveCmm(handle.cmm_bytes);
  AX_SIM_Count(Count::kLiveHandles, -1);
}

bool not_null(const char* function, const void* out) {
  if (out == nullptr) AX_SIM_Violation("%s: NULL for an output", function);
  return out != nullptr;
}

// With AX_SIM_FREE: nothing but other logits, so that what surrounds the NPU can be measured.
std::int32_t run_free(void* handle, const IoRun* io) {
  const std::size_t place = (reinterpret_cast<std::uintptr_t>(handle) - kFirstHandle) / 16;
  NpuModel* model = free_posts[place % free_posts.size()].load(std::memory_order_relaxed);
  if (model == nullptr) return 0;
  NpuBinding outputs[kMaxTensors] = {};
  for (std::uint32_t i = 0; i < io->output_count; ++i) {
    outputs[i] = {static_cast<std::byte*>(io->outputs[i].vir), io->outputs[i].phy};
  }
  return AX_NPU_Run(model, 0, nullptr, outputs);
}

// A run through an explicit context (`explicit_context`) or the default one.
std::int32_t run(const char* function, void* handle, bool explicit_context, void* context,
                 std::uint32_t group, const IoRun* io) {
  if (AX_SIM_IsFree()) return run_free(handle, io);
  if (const std::int32_t code = enter(function); code != 0) return code;
  const auto found = find_handle(function, handle);
  if (found == nullptr) return kNpuHandle;
  {
    const std::lock_guard lock(engine().mutex);
    const auto& contexts = found->contexts;
    const bool known = std::find(contexts.begin(), contexts.end(), context) != contexts.end();
    if (explicit_context ? !known : !found->default_context) {
      AX_SIM_Violation("%s: context %p is none of %s", function, context, found->name.c_str());
      return kNpuHandle;
    }
  }
  if (group >= found->groups.size()) {
    AX_SIM_Violation("%s: group %u of %s, which has %zu", function, group, found->name.c_str(),
                     found->groups.size());
    return kNpuArgument;
  }
  if (found->running.exchange(true)) {
    AX_SIM_Violation("%s: another thread is running %s", function, found->name.c_str());
    return kNpuBusy;
  }
  const std::int32_t code = checked_run(function, *found, group, io);
  found->running = false;
  return code;
}

}  // namespace

std::int32_t enter(const char* function) {
  if (const std::int32_t code = AX_SIM_Fault(function); code != 0) return code;
  const std::lock_guard lock(engine().mutex);
  if (engine().inits > 0) return 0;
  AX_SIM_Violation("%s: called while AX_ENGINE_Init is not in effect", function);
  return kNpuNotInitialised;
}

std::shared_ptr<EngineHandle> find_handle(const char* function, void* handle) {
  Engine& e = engine();
  const std::lock_guard lock(e.mutex);
  const auto found = e.handles.find(handle);
  if (found != e.handles.end()) return found->second;
  const auto number = reinterpret_cast<std::uintptr_t>(handle);
  AX_SIM_Violation("%s: handle %p %s", function, handle,
                   number > kFirstHandle && number <= e.next ? "is destroyed" : "is none");
  return nullptr;
}

}  // namespace ax_sim

using ax_sim::engine;
using ax_sim::enter;
using ax_sim::find_handle;

std::int32_t AX_ENGINE_Init(ax_sim::NpuAttr* attr) {
  if (const std::int32_t code = AX_SIM_Fault("AX_ENGINE_Init"); code != 0) return code;
  ax_sim::use_libm();
  if (!AX_SIM_Initialised()) {
    AX_SIM_Violation("AX_ENGINE_Init: called while AX_SYS_Init is not in effect");
    return ax_sim::kNpuNotInitialised;
  }
  const bool valid =
      attr != nullptr && attr->mode >= 0 && attr->mode < ax_sim::kModes &&
      std::all_of(attr->reserved, attr->reserved + 8, [](std::uint32_t word) { return word == 0; });
  if (!valid) {
    AX_SIM_Violation("AX_ENGINE_Init: attribute NULL, with an unknown mode or not zeroed");
    return ax_sim::kNpuArgument;
  }
  const std::lock_guard lock(engine().mutex);
  if (engine().inits > 0 && engine().mode != attr->mode) return ax_sim::kNpuMode;
  engine().mode = attr->mode;
  ++engine().inits;
  AX_SIM_SetEngineOpen(true);
  return 0;
}

std::int32_t AX_ENGINE_Deinit() {
  if (const std::int32_t code = enter("AX_ENGINE_Deinit"); code != 0) return code;
  ax_sim::Engine& e = engine();
  const std::lock_guard lock(e.mutex);
  if (--e.inits > 0) return 0;
  AX_SIM_SetEngineOpen(false);
  const bool left = !e.handles.empty();
  for (const auto& [number, handle] : e.handles) {
    AX_SIM_Violation("AX_ENGINE_Deinit: handle %p is left (%s)", number, handle->name.c_str());
    ax_sim::release(*handle);
  }
  e.handles.clear();
  return left ? ax_sim::kNpuBusy : 0;
}

std::int32_t AX_ENGINE_GetVNPUAttr(ax_sim::NpuAttr* out) {
  if (const std::int32_t code = AX_SIM_Fault("AX_ENGINE_GetVNPUAttr"); code != 0) return code;
  const std::lock_guard lock(engine().mutex);
  if (engine().inits == 0) return ax_sim::kNpuNotInitialised;  // peers ask to learn this
  *out = {};
  out->mode = engine().mode;
  return 0;
}

std::int32_t AX_ENGINE_CreateHandle(void** out, const void* data, std::uint32_t bytes) {
  return ax_sim::create("AX_ENGINE_CreateHandle", out, data, bytes);
}

std::int32_t AX_ENGINE_CreateHandleV2(void** out, const void* data, std::uint32_t bytes,
                                      ax_sim::HandleExtra*) {
  return ax_sim::create("AX_ENGINE_CreateHandleV2", out, data, bytes);
}

std::int32_t AX_ENGINE_DestroyHandle(void* handle) {
  if (const std::int32_t code = enter("AX_ENGINE_DestroyHandle"); code != 0) return code;
  const auto found = find_handle("AX_ENGINE_DestroyHandle", handle);
  if (found == nullptr) return ax_sim::kNpuHandle;
  if (found->running) {
    AX_SIM_Violation("AX_ENGINE_DestroyHandle: %s is running", found->name.c_str());
    return ax_sim::kNpuBusy;
  }
  const std::lock_guard lock(engine().mutex);
  engine().handles.erase(handle);
  ax_sim::release(*found);
  return 0;
}

std::int32_t AX_ENGINE_GetGroupIOInfoCount(void* handle, std::uint32_t* count) {
  constexpr char kFunction[] = "AX_ENGINE_GetGroupIOInfoCount";
  if (const std::int32_t code = enter(kFunction); code != 0) return code;
  const auto found = find_handle(kFunction, handle);
  if (found == nullptr) return ax_sim::kNpuHandle;
  if (!ax_sim::not_null(kFunction, count)) return ax_sim::kNpuArgument;
  *count = static_cast<std::uint32_t>(found->groups.size());
  return 0;
}

std::int32_t AX_ENGINE_GetGroupIOInfo(void* handle, std::uint32_t group, ax_sim::IoDesc** out) {
  constexpr char kFunction[] = "AX_ENGINE_GetGroupIOInfo";
  if (const std::int32_t code = enter(kFunction); code != 0) return code;
  const auto found = find_handle(kFunction, handle);
  if (found == nullptr) return ax_sim::kNpuHandle;
  if (!ax_sim::not_null(kFunction, out)) return ax_sim::kNpuArgument;
  if (group >= found->groups.size()) {
    AX_SIM_Violation("%s: group %u of %s, which has %zu", kFunction, group, found->name.c_str(),
                     found->groups.size());
    return ax_sim::kNpuArgument;
  }
  *out = &found->groups[group]->io;
  return 0;
}

std::int32_t AX_ENGINE_GetIOInfo(void* handle, ax_sim::IoDesc** out) {
  if (const std::int32_t code = enter("AX_ENGINE_GetIOInfo"); code != 0) return code;
  const auto found = find_handle("AX_ENGINE_GetIOInfo", handle);
  if (found == nullptr) return ax_sim::kNpuHandle;
  if (!ax_sim::not_null("AX_ENGINE_GetIOInfo", out)) return ax_sim::kNpuArgument;
  *out = &found->groups[0]->io;
  return 0;
}

std::int32_t AX_ENGINE_CreateContext(void* handle) {
  if (const std::int32_t code = enter("AX_ENGINE_CreateContext"); code != 0) return code;
  const auto found = find_handle("AX_ENGINE_CreateContext", handle);
  if (found == nullptr) return ax_sim::kNpuHandle;
  const std::lock_guard lock(engine().mutex);
  found->default_context = true;
  return 0;
}

std::int32_t AX_ENGINE_CreateContextV2(void* handle, void** out) {
  if (const std::int32_t code = enter("AX_ENGINE_CreateContextV2"); code != 0) return code;
  const auto found = find_handle("AX_ENGINE_CreateContextV2", handle);
  if (found == nullptr) return ax_sim::kNpuHandle;
  if (!ax_sim::not_null("AX_ENGINE_CreateContextV2", out)) return ax_sim::kNpuArgument;
  const std::lock_guard lock(engine().mutex);
  *out = ax_sim::new_number(engine());
  found->contexts.push_back(*out);
  return 0;
}

std::int32_t AX_ENGINE_RunSync(void* handle, ax_sim::IoRun* io) {
  return ax_sim::run("AX_ENGINE_RunSync", handle, false, nullptr, 0, io);
}

std::int32_t AX_ENGINE_RunSyncV2(void* handle, void* context, ax_sim::IoRun* io) {
  return ax_sim::run("AX_ENGINE_RunSyncV2", handle, true, context, 0, io);
}

std::int32_t AX_ENGINE_RunGroupIOSync(void* handle, void* context, std::uint32_t group,
                                      ax_sim::IoRun* io) {
  return ax_sim::run("AX_ENGINE_RunGroupIOSync", handle, true, context, group, io);
}
