#pragma once

#include <cstddef>
#include <cstdint>

// The C interface of AXERA's NPU runtime as the simulator offers it: the layout of AArch64 on every
// host, whatever the vendor's header makes of other machines. Declared here on its own, not shared
// with the code under test, so that a wrong offset on either side shows.
namespace ax_sim {

struct TensorDesc {
  const char* name;
  const std::int32_t* shape;
  std::uint8_t rank;
  std::int32_t layout;
  std::int32_t memory_type;
  std::int32_t data_type;
  const void* extra;
  std::uint32_t bytes;
  std::uint32_t quantisation;
  const std::int32_t* stride;
  std::uint64_t reserved[9];
};

struct IoDesc {
  TensorDesc* inputs;
  std::uint32_t input_count;
  TensorDesc* outputs;
  std::uint32_t output_count;
  std::uint32_t max_batch;
  std::int32_t dynamic_batch;
  std::uint64_t reserved[11];
};

struct IoBuffer {
  std::uint64_t phy;
  void* vir;
  std::uint32_t bytes;
  const std::int32_t* stride;
  std::uint8_t stride_rank;
  std::uint64_t reserved[11];
};

struct IoRun {
  IoBuffer* inputs;
  std::uint32_t input_count;
  IoBuffer* outputs;
  std::uint32_t output_count;
  std::uint32_t batch;
  void* setting;
  std::uint64_t reserved[11];
};

struct NpuAttr {
  std::int32_t mode;
  std::uint32_t reserved[8];
};

struct HandleExtra {
  std::uint32_t npu_set;
  const signed char* name;
  std::uint32_t reserved[8];
};

struct CmmInfo {
  std::uint32_t bytes;
};

struct CmmPartition {
  std::uint64_t phy;
  std::uint32_t kib;
  signed char name[32];
};

struct CmmPartitions {
  std::uint32_t count;
  CmmPartition partitions[16];
};

struct CmmStatus {
  std::uint32_t total_kib;
  std::uint32_t remaining_kib;
  std::uint32_t blocks;
  CmmPartitions partitions;
};

static_assert(sizeof(void*) == 8);
static_assert(sizeof(TensorDesc) == 128 && alignof(TensorDesc) == 8);
static_assert(offsetof(TensorDesc, shape) == 8 && offsetof(TensorDesc, rank) == 16);
static_assert(offsetof(TensorDesc, layout) == 20 && offsetof(TensorDesc, memory_type) == 24);
static_assert(offsetof(TensorDesc, data_type) == 28 && offsetof(TensorDesc, extra) == 32);
static_assert(offsetof(TensorDesc, bytes) == 40 && offsetof(TensorDesc, quantisation) == 44);
static_assert(offsetof(TensorDesc, stride) == 48 && offsetof(TensorDesc, reserved) == 56);
static_assert(sizeof(IoDesc) == 128 && offsetof(IoDesc, input_count) == 8);
static_assert(offsetof(IoDesc, outputs) == 16 && offsetof(IoDesc, output_count) == 24);
static_assert(offsetof(IoDesc, max_batch) == 28 && offsetof(IoDesc, dynamic_batch) == 32);
static_assert(sizeof(IoBuffer) == 128 && offsetof(IoBuffer, vir) == 8);
static_assert(offsetof(IoBuffer, bytes) == 16 && offsetof(IoBuffer, stride) == 24);
static_assert(offsetof(IoBuffer, stride_rank) == 32 && offsetof(IoBuffer, reserved) == 40);
static_assert(sizeof(IoRun) == 128 && offsetof(IoRun, input_count) == 8);
static_assert(offsetof(IoRun, outputs) == 16 && offsetof(IoRun, output_count) == 24);
static_assert(offsetof(IoRun, batch) == 28 && offsetof(IoRun, setting) == 32);
static_assert(offsetof(IoRun, reserved) == 40);
static_assert(sizeof(NpuAttr) == 36 && sizeof(CmmInfo) == 4);
static_assert(sizeof(HandleExtra) == 48 && offsetof(HandleExtra, name) == 8);
static_assert(offsetof(HandleExtra, reserved) == 16);
static_assert(sizeof(CmmPartition) == 48 && sizeof(CmmPartitions) == 776);
static_assert(sizeof(CmmStatus) == 792);

// Values of TensorDesc::data_type. An engine of this age has none for bf16.
inline constexpr std::int32_t kTypeBf16 = 2;  // uint16
inline constexpr std::int32_t kTypeInt32 = 6;
inline constexpr std::int32_t kTypeUint32 = 7;

// Return codes.
constexpr std::int32_t code(std::uint32_t bits) { return static_cast<std::int32_t>(bits); }
inline constexpr std::int32_t kSysRange = code(0x800B000A);
inline constexpr std::int32_t kSysNull = code(0x800B000B);
inline constexpr std::int32_t kSysAddress = code(0x800B000C);
inline constexpr std::int32_t kSysBusy = code(0x800B0011);
inline constexpr std::int32_t kSysNotInitialised = code(0x800B0012);
inline constexpr std::int32_t kSysNoMemory = code(0x800B0018);
inline constexpr std::int32_t kSysFreeFailed = code(0x800B0082);
inline constexpr std::int32_t kNpuHandle = code(0x80060081);
inline constexpr std::int32_t kNpuNotInitialised = code(0x80060083);
inline constexpr std::int32_t kNpuArgument = code(0x80060084);
inline constexpr std::int32_t kNpuMode = code(0x80060087);
inline constexpr std::int32_t kNpuNotSupported = code(0x80060088);
inline constexpr std::int32_t kNpuBusy = code(0x80060089);
inline constexpr std::int32_t kNpuTaskFailed = code(0x8006008A);

}  // namespace ax_sim

extern "C" {
// libax_sys.so
std::int32_t AX_SYS_Init();
std::int32_t AX_SYS_Deinit();
std::int32_t AX_SYS_MemAlloc(std::uint64_t* phy, void** vir, std::uint32_t bytes,
                             std::uint32_t align, const signed char* tag);
std::int32_t AX_SYS_MemAllocCached(std::uint64_t* phy, void** vir, std::uint32_t bytes,
                                   std::uint32_t align, const signed char* tag);
std::int32_t AX_SYS_MemFree(std::uint64_t phy, void* vir);
std::int32_t AX_SYS_MflushCache(std::uint64_t phy, void* vir, std::uint32_t bytes);
std::int32_t AX_SYS_MinvalidateCache(std::uint64_t phy, void* vir, std::uint32_t bytes);
void* AX_SYS_Mmap(std::uint64_t phy, std::uint32_t bytes);
void* AX_SYS_MmapCache(std::uint64_t phy, std::uint32_t bytes);
void* AX_SYS_MmapFast(std::uint64_t phy, std::uint32_t bytes);
void* AX_SYS_MmapCacheFast(std::uint64_t phy, std::uint32_t bytes);
std::int32_t AX_SYS_Munmap(void* vir, std::uint32_t bytes);
std::int32_t AX_SYS_MemGetBlockInfoByPhy(std::uint64_t phy, std::int32_t* type, void** vir,
                                         std::uint32_t* bytes);
std::int32_t AX_SYS_MemGetBlockInfoByVirt(void* vir, std::uint64_t* phy, std::int32_t* type);
std::int32_t AX_SYS_MemGetPartitionInfo(ax_sim::CmmPartitions* out);
std::int32_t AX_SYS_MemQueryStatus(ax_sim::CmmStatus* out);
std::int32_t AX_SYS_GetChipType();
std::int32_t AX_SYS_SetLogLevel(std::int32_t level);
std::int32_t AX_SYS_SetLogTarget(std::int32_t target);
// What libax_interpreter.so takes from libax_sys.so; their real parameters are not known.
void AX_SYS_LogPrint(std::int32_t level, const char* text);
void* AX_OS_MEM_Malloc(std::size_t bytes);
void AX_OS_MEM_Free(void* memory);

// libax_engine.so
const char* AX_ENGINE_GetVersion();
std::int32_t AX_ENGINE_Init(ax_sim::NpuAttr* attr);
std::int32_t AX_ENGINE_GetVNPUAttr(ax_sim::NpuAttr* out);
std::int32_t AX_ENGINE_Deinit();
std::int32_t AX_ENGINE_GetModelType(const void* data, std::uint32_t bytes, std::int32_t* type);
std::int32_t AX_ENGINE_CreateHandle(void** out, const void* data, std::uint32_t bytes);
std::int32_t AX_ENGINE_CreateHandleV2(void** out, const void* data, std::uint32_t bytes,
                                      ax_sim::HandleExtra* extra);
std::int32_t AX_ENGINE_DestroyHandle(void* handle);
std::int32_t AX_ENGINE_GetIOInfo(void* handle, ax_sim::IoDesc** out);
std::int32_t AX_ENGINE_GetGroupIOInfoCount(void* handle, std::uint32_t* count);
std::int32_t AX_ENGINE_GetGroupIOInfo(void* handle, std::uint32_t group, ax_sim::IoDesc** out);
std::int32_t AX_ENGINE_GetHandleModelType(void* handle, std::int32_t* type);
std::int32_t AX_ENGINE_CreateContext(void* handle);
std::int32_t AX_ENGINE_CreateContextV2(void* handle, void** out);
std::int32_t AX_ENGINE_RunSync(void* handle, ax_sim::IoRun* io);
std::int32_t AX_ENGINE_RunSyncV2(void* handle, void* context, ax_sim::IoRun* io);
std::int32_t AX_ENGINE_RunGroupIOSync(void* handle, void* context, std::uint32_t group,
                                      ax_sim::IoRun* io);
std::int32_t AX_ENGINE_SetAffinity(void* handle, std::uint32_t set);
std::int32_t AX_ENGINE_GetAffinity(void* handle, std::uint32_t* set);
std::int32_t AX_ENGINE_GetCMMUsage(void* handle, ax_sim::CmmInfo* out);
const char* AX_ENGINE_GetModelToolsVersion(void* handle);
void AX_ENGINE_NPUReset();
// There in the vendor's library, used by nobody: they answer "not supported".
std::int32_t AX_ENGINE_CloneHandle();
std::int32_t AX_ENGINE_DestroyKernelHandle();
std::int32_t AX_ENGINE_GetExtraData();
std::int32_t AX_ENGINE_GetThrottle();
std::int32_t AX_ENGINE_GetThrottleConfig();
std::int32_t AX_ENGINE_GetTotalOps();
std::int32_t AX_ENGINE_GetVNPUInfo();
std::int32_t AX_ENGINE_SetThrottle();
}
