#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/ax_sim/ax_abi.h"
#include "tests/ax_sim/ax_sim.h"

// The simulator as its own tests use it: loaded with dlopen from ax_sim/ beside the test program.

// The functions under their own names: rt().AX_SYS_Init().
struct Runtime {
  // Whether libax_interpreter.so could be loaded before libax_sys.so, and what dlopen said.
  bool interpreter_alone = false;
  std::string interpreter_error;

#define AX_FUNCTION(name) decltype(&::name) name = nullptr
  AX_FUNCTION(AX_SYS_Init);
  AX_FUNCTION(AX_SYS_Deinit);
  AX_FUNCTION(AX_SYS_MemAlloc);
  AX_FUNCTION(AX_SYS_MemAllocCached);
  AX_FUNCTION(AX_SYS_MemFree);
  AX_FUNCTION(AX_SYS_MflushCache);
  AX_FUNCTION(AX_SYS_MinvalidateCache);
  AX_FUNCTION(AX_SYS_MemQueryStatus);
  AX_FUNCTION(AX_SIM_GetCounters);
  AX_FUNCTION(AX_SIM_ResetCounters);
  AX_FUNCTION(AX_SIM_LastViolation);
  AX_FUNCTION(AX_ENGINE_Init);
  AX_FUNCTION(AX_ENGINE_Deinit);
  AX_FUNCTION(AX_ENGINE_GetVNPUAttr);
  AX_FUNCTION(AX_ENGINE_CreateHandle);
  AX_FUNCTION(AX_ENGINE_DestroyHandle);
  AX_FUNCTION(AX_ENGINE_GetGroupIOInfoCount);
  AX_FUNCTION(AX_ENGINE_GetGroupIOInfo);
  AX_FUNCTION(AX_ENGINE_CreateContext);
  AX_FUNCTION(AX_ENGINE_CreateContextV2);
  AX_FUNCTION(AX_ENGINE_RunSync);
  AX_FUNCTION(AX_ENGINE_RunGroupIOSync);
#undef AX_FUNCTION

  AxSimCounters counters() const;
};

// Loads the libraries at the first call; ends the program when that fails.
Runtime& rt();

// Environment variables, "NAME=VALUE NAME=VALUE", for as long as it lives; fresh counters.
class SimEnvironment {
 public:
  explicit SimEnvironment(const std::string& variables = "");
  ~SimEnvironment();
  SimEnvironment(const SimEnvironment&) = delete;
  SimEnvironment& operator=(const SimEnvironment&) = delete;

 private:
  std::vector<std::string> names_;
};

// Both inits; the deinits at its end.
class SimSession : public SimEnvironment {
 public:
  explicit SimSession(const std::string& variables = "");
  ~SimSession();
};

// A block of CMM, filled with zeros on both sides.
struct SimBlock {
  SimBlock(std::uint32_t size, bool is_cached);
  ~SimBlock();
  SimBlock(const SimBlock&) = delete;
  SimBlock& operator=(const SimBlock&) = delete;

  std::uint64_t phy = 0;
  void* vir = nullptr;
  std::uint32_t bytes;
};

// A handle with a context.
class SimHandle {
 public:
  explicit SimHandle(const std::string& file);
  ~SimHandle();
  SimHandle(const SimHandle&) = delete;
  SimHandle& operator=(const SimHandle&) = delete;

  ax_sim::IoDesc& group(std::uint32_t number) const;

  void* handle = nullptr;
  void* context = nullptr;
};

// A group with a block of uncached memory for each tensor.
class SimRun {
 public:
  SimRun(const SimHandle& handle, std::uint32_t group);

  // The tensor's buffer and values; ends the program when there is no such tensor.
  ax_sim::IoBuffer& buffer(const std::string& name);
  template <typename Value>
  Value* values(const std::string& name) {
    return static_cast<Value*>(buffer(name).vir);
  }
  bool has(const std::string& name) const;
  std::int32_t run();

  ax_sim::IoRun io{};

 private:
  const SimHandle& handle_;
  std::uint32_t group_;
  std::vector<std::unique_ptr<SimBlock>> blocks_;
  std::vector<ax_sim::IoBuffer> inputs_;
  std::vector<ax_sim::IoBuffer> outputs_;
  std::map<std::string, std::pair<bool, std::size_t>> places_;  // output?, index
};
