#include "tests/ax_sim/sim_runtime.h"

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <sstream>

#include "runner/mapped_file.h"

namespace {

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::abort();
}

void* load(const std::string& library, int flags) {
  void* loaded = ::dlopen(library.c_str(), flags);
  if (loaded == nullptr) die(::dlerror());
  return loaded;
}

template <typename Function>
void resolve(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  if (function == nullptr) die(std::string("no function ") + name);
}

Runtime load_all() {
  Runtime r;
  const std::string folder =
      std::filesystem::read_symlink("/proc/self/exe").parent_path().string() + "/ax_sim/";
  load("libm.so.6", RTLD_NOW | RTLD_GLOBAL);
  r.interpreter_alone = ::dlopen((folder + "libax_interpreter.so").c_str(), RTLD_NOW) != nullptr;
  if (!r.interpreter_alone) r.interpreter_error = ::dlerror();
  void* sys = load(folder + "libax_sys.so", RTLD_NOW | RTLD_GLOBAL);
  load(folder + "libax_interpreter.so", RTLD_NOW);
  void* engine = load(folder + "libax_engine.so", RTLD_NOW);
#define AX_RESOLVE(library, name) resolve(library, #name, r.name)
  AX_RESOLVE(sys, AX_SYS_Init);
  AX_RESOLVE(sys, AX_SYS_Deinit);
  AX_RESOLVE(sys, AX_SYS_MemAlloc);
  AX_RESOLVE(sys, AX_SYS_MemAllocCached);
  AX_RESOLVE(sys, AX_SYS_MemFree);
  AX_RESOLVE(sys, AX_SYS_MflushCache);
  AX_RESOLVE(sys, AX_SYS_MinvalidateCache);
  AX_RESOLVE(sys, AX_SYS_MemQueryStatus);
  AX_RESOLVE(sys, AX_SIM_GetCounters);
  AX_RESOLVE(sys, AX_SIM_ResetCounters);
  AX_RESOLVE(sys, AX_SIM_LastViolation);
  AX_RESOLVE(engine, AX_ENGINE_Init);
  AX_RESOLVE(engine, AX_ENGINE_Deinit);
  AX_RESOLVE(engine, AX_ENGINE_GetVNPUAttr);
  AX_RESOLVE(engine, AX_ENGINE_CreateHandle);
  AX_RESOLVE(engine, AX_ENGINE_DestroyHandle);
  AX_RESOLVE(engine, AX_ENGINE_GetGroupIOInfoCount);
  AX_RESOLVE(engine, AX_ENGINE_GetGroupIOInfo);
  AX_RESOLVE(engine, AX_ENGINE_CreateContext);
  AX_RESOLVE(engine, AX_ENGINE_CreateContextV2);
  AX_RESOLVE(engine, AX_ENGINE_RunSync);
  AX_RESOLVE(engine, AX_ENGINE_RunGroupIOSync);
#undef AX_RESOLVE
  return r;
}

}  // namespace

Runtime& rt() {
  static Runtime runtime = load_all();
  return runtime;
}

AxSimCounters Runtime::counters() const {
  AxSimCounters counters;
  AX_SIM_GetCounters(&counters);
  return counters;
}

SimEnvironment::SimEnvironment(const std::string& variables) {
  std::istringstream words(variables);
  for (std::string word; words >> word;) {
    const std::size_t equals = word.find('=');
    names_.push_back(word.substr(0, equals));
    ::setenv(names_.back().c_str(), word.c_str() + equals + 1, 1);
  }
  rt().AX_SIM_ResetCounters();
}

SimEnvironment::~SimEnvironment() {
  for (const std::string& name : names_) ::unsetenv(name.c_str());
}

SimSession::SimSession(const std::string& variables) : SimEnvironment(variables) {
  ax_sim::NpuAttr attr{};
  if (rt().AX_SYS_Init() != 0 || rt().AX_ENGINE_Init(&attr) != 0) die("init fails");
}

SimSession::~SimSession() {
  rt().AX_ENGINE_Deinit();
  rt().AX_SYS_Deinit();
}

SimBlock::SimBlock(std::uint32_t size, bool is_cached) : bytes(size) {
  constexpr signed char kTag[] = {'t', 'e', 's', 't', 0};
  const auto allocate = is_cached ? rt().AX_SYS_MemAllocCached : rt().AX_SYS_MemAlloc;
  if (allocate(&phy, &vir, bytes, 128, kTag) != 0) die("no CMM");
  std::memset(vir, 0, bytes);
  if (is_cached) rt().AX_SYS_MflushCache(phy, vir, bytes);
}

SimBlock::~SimBlock() { rt().AX_SYS_MemFree(phy, vir); }

SimHandle::SimHandle(const std::string& file) {
  const runner::MappedFile model(file);  // needed until the handle exists, no longer
  const auto bytes = static_cast<std::uint32_t>(model.bytes().size());
  if (rt().AX_ENGINE_CreateHandle(&handle, model.bytes().data(), bytes) != 0 ||
      rt().AX_ENGINE_CreateContext(handle) != 0 ||
      rt().AX_ENGINE_CreateContextV2(handle, &context) != 0) {
    die("cannot load " + file);
  }
}

SimHandle::~SimHandle() { rt().AX_ENGINE_DestroyHandle(handle); }

ax_sim::IoDesc& SimHandle::group(std::uint32_t number) const {
  ax_sim::IoDesc* desc = nullptr;
  if (rt().AX_ENGINE_GetGroupIOInfo(handle, number, &desc) != 0) die("no such group");
  return *desc;
}

SimRun::SimRun(const SimHandle& handle, std::uint32_t group) : handle_(handle), group_(group) {
  const ax_sim::IoDesc& desc = handle.group(group);
  const auto bind = [&](const ax_sim::TensorDesc* tensors, std::uint32_t count, bool output) {
    auto& buffers = output ? outputs_ : inputs_;
    for (std::uint32_t i = 0; i < count; ++i) {
      blocks_.push_back(std::make_unique<SimBlock>(tensors[i].bytes, false));
      ax_sim::IoBuffer buffer{};
      buffer.phy = blocks_.back()->phy;
      buffer.vir = blocks_.back()->vir;
      buffer.bytes = tensors[i].bytes;
      buffers.push_back(buffer);
      places_[tensors[i].name] = {output, i};
    }
  };
  bind(desc.inputs, desc.input_count, false);
  bind(desc.outputs, desc.output_count, true);
  io.inputs = inputs_.data();
  io.input_count = desc.input_count;
  io.outputs = outputs_.data();
  io.output_count = desc.output_count;
}

bool SimRun::has(const std::string& name) const { return places_.contains(name); }

ax_sim::IoBuffer& SimRun::buffer(const std::string& name) {
  if (!has(name)) die("no tensor " + name);
  const auto [output, index] = places_.at(name);
  return (output ? outputs_ : inputs_)[index];
}

std::int32_t SimRun::run() {
  return rt().AX_ENGINE_RunGroupIOSync(handle_.handle, handle_.context, group_, &io);
}
