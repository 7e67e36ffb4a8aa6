#pragma once

#include <cstddef>
#include <cstdint>

// The C interface of AXERA's NPU runtime (libax_sys.so, libax_engine.so), as far as it is used
// here: our own declarations of what they export. Layout on AArch64, measured with the headers of
// AXERA's ax620e_bsp_sdk v2.0.0_P7; the AX650's (axcl-runtime V3.10.2) is the same in these fields.
namespace runner::ax {

using Handle = void*;
using Context = void*;

struct NpuAttr {
  std::int32_t hard_mode = 0;  // virtual NPUs; 0: off
  std::uint32_t reserved[8] = {};
};
static_assert(sizeof(NpuAttr) == 36);

// One tensor of a group. Everything pointed to belongs to the engine.
struct TensorDesc {
  const char* name;
  const std::int32_t* shape;
  std::uint8_t rank;
  std::int32_t layout;
  std::int32_t memory_type;
  std::int32_t data_type;
  const void* extra;
  std::uint32_t bytes;
  std::uint32_t quantization;
  const std::int32_t* stride;
  std::uint64_t reserved[9];
};
static_assert(sizeof(TensorDesc) == 128);
static_assert(offsetof(TensorDesc, shape) == 8 && offsetof(TensorDesc, rank) == 16 &&
              offsetof(TensorDesc, layout) == 20 && offsetof(TensorDesc, memory_type) == 24 &&
              offsetof(TensorDesc, data_type) == 28 && offsetof(TensorDesc, extra) == 32 &&
              offsetof(TensorDesc, bytes) == 40 && offsetof(TensorDesc, quantization) == 44 &&
              offsetof(TensorDesc, stride) == 48);

struct IoDesc {
  const TensorDesc* inputs;
  std::uint32_t input_count;
  const TensorDesc* outputs;
  std::uint32_t output_count;
  std::uint32_t max_batch;
  std::int32_t dynamic_batch;
  std::uint64_t reserved[11];
};
static_assert(sizeof(IoDesc) == 128);
static_assert(offsetof(IoDesc, input_count) == 8 && offsetof(IoDesc, outputs) == 16 &&
              offsetof(IoDesc, output_count) == 24 && offsetof(IoDesc, max_batch) == 28 &&
              offsetof(IoDesc, dynamic_batch) == 32);

struct IoBuffer {
  std::uint64_t physical = 0;
  void* virtual_address = nullptr;
  std::uint32_t bytes = 0;
  const std::int32_t* stride = nullptr;
  std::uint8_t stride_rank = 0;
  std::uint64_t reserved[11] = {};
};
static_assert(sizeof(IoBuffer) == 128);
static_assert(offsetof(IoBuffer, virtual_address) == 8 && offsetof(IoBuffer, bytes) == 16 &&
              offsetof(IoBuffer, stride) == 24 && offsetof(IoBuffer, stride_rank) == 32 &&
              offsetof(IoBuffer, reserved) == 40);

// The reserved words begin with the AX650's nParallelRun: zero means off.
struct IoRun {
  IoBuffer* inputs = nullptr;
  std::uint32_t input_count = 0;
  IoBuffer* outputs = nullptr;
  std::uint32_t output_count = 0;
  std::uint32_t batch = 0;  // 0: the engine decides
  const void* setting = nullptr;
  std::uint64_t reserved[11] = {};
};
static_assert(sizeof(IoRun) == 128);
static_assert(offsetof(IoRun, input_count) == 8 && offsetof(IoRun, outputs) == 16 &&
              offsetof(IoRun, output_count) == 24 && offsetof(IoRun, batch) == 28 &&
              offsetof(IoRun, setting) == 32 && offsetof(IoRun, reserved) == 40);

}  // namespace runner::ax

// Every function looked up: X(library, is_needed, result, name, parameters).
#define RUNNER_AX_FUNCTIONS(X)                                                           \
  X(sys, true, std::int32_t, AX_SYS_Init, ())                                            \
  X(sys, true, std::int32_t, AX_SYS_Deinit, ())                                          \
  X(sys, true, std::int32_t, AX_SYS_MemAllocCached,                                      \
    (std::uint64_t * physical, void** address, std::uint32_t bytes, std::uint32_t align, \
     const signed char* tag))                                                            \
  X(sys, true, std::int32_t, AX_SYS_MemFree, (std::uint64_t physical, void* address))    \
  X(sys, true, std::int32_t, AX_SYS_MflushCache,                                         \
    (std::uint64_t physical, void* address, std::uint32_t bytes))                        \
  X(sys, true, std::int32_t, AX_SYS_MinvalidateCache,                                    \
    (std::uint64_t physical, void* address, std::uint32_t bytes))                        \
  X(engine, false, std::int32_t, AX_ENGINE_GetVNPUAttr, (runner::ax::NpuAttr * attr))    \
  X(engine, true, std::int32_t, AX_ENGINE_Init, (runner::ax::NpuAttr * attr))            \
  X(engine, true, std::int32_t, AX_ENGINE_Deinit, ())                                    \
  X(engine, false, std::int32_t, AX_ENGINE_GetModelType,                                 \
    (const void* data, std::uint32_t bytes, std::int32_t* type))                         \
  X(engine, true, std::int32_t, AX_ENGINE_CreateHandle,                                  \
    (runner::ax::Handle * handle, const void* data, std::uint32_t bytes))                \
  X(engine, true, std::int32_t, AX_ENGINE_DestroyHandle, (runner::ax::Handle handle))    \
  X(engine, true, std::int32_t, AX_ENGINE_CreateContext, (runner::ax::Handle handle))    \
  X(engine, true, std::int32_t, AX_ENGINE_CreateContextV2,                               \
    (runner::ax::Handle handle, runner::ax::Context * context))                          \
  X(engine, false, std::int32_t, AX_ENGINE_GetGroupIOInfoCount,                          \
    (runner::ax::Handle handle, std::uint32_t * count))                                  \
  X(engine, true, std::int32_t, AX_ENGINE_GetGroupIOInfo,                                \
    (runner::ax::Handle handle, std::uint32_t group, runner::ax::IoDesc * *description)) \
  X(engine, true, std::int32_t, AX_ENGINE_RunGroupIOSync,                                \
    (runner::ax::Handle handle, runner::ax::Context context, std::uint32_t group,        \
     runner::ax::IoRun * io))
