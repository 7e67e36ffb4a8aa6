#include "runner/npu/ax_library.h"

#include <dlfcn.h>

#include <array>
#include <cstdio>
#include <utility>

#include "runner/error.h"

namespace runner {
namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 6> kVendorFolders{
    "soc/lib", "opt/lib", "opt/usr/lib", "usr/local/m5stack/lib/ax-lib", "usr/local/m5stack/lib",
    "usr/lib"};

struct OpenLibraries {
  void* sys = nullptr;
  void* engine = nullptr;
};

void* open_library(const fs::path& path, int scope, std::string& problem) {
  void* library = dlopen(path.c_str(), RTLD_NOW | scope);
  if (library == nullptr) problem = dlerror();
  return library;
}

// In the order of their dependencies. The interpreter uses functions of sys without saying so:
// sys must be visible to all. `folder` may be empty for the system's search path.
bool open_all(const fs::path& folder, OpenLibraries& libraries, std::string& problem) {
  const auto path = [&](const char* name) {
    return folder.empty() ? fs::path(name) : folder / name;
  };
  libraries.sys = open_library(path("libax_sys.so"), RTLD_GLOBAL, problem);
  if (libraries.sys == nullptr) return false;
  if (open_library(path("libax_interpreter.so"), RTLD_GLOBAL, problem) == nullptr) return false;
  libraries.engine = open_library(path("libax_engine.so"), RTLD_LOCAL, problem);
  return libraries.engine != nullptr;
}

[[noreturn]] void fail(const std::string& what) { throw Error(ErrorCode::kNotBuilt, what); }

OpenLibraries find_and_open(const fs::path& directory, const fs::path& root, std::string& folder) {
  // The engine uses expf and sqrtf without naming libm, and a program with its own C++ runtime
  // may have brought none.
  dlopen("libm.so.6", RTLD_NOW | RTLD_GLOBAL);
  OpenLibraries libraries;
  std::string problem;
  if (!directory.empty()) {
    folder = directory.string();
    if (open_all(directory, libraries, problem)) return libraries;
    fail("the NPU libraries in " + folder + " (--ax-lib-dir) cannot be used: " + problem);
  }
  folder.clear();
  if (open_all({}, libraries, problem)) return libraries;
  std::string places = "the loader's search path";
  for (const char* name : kVendorFolders) {
    const fs::path candidate = root / name;
    places += ", " + candidate.string();
    std::error_code error;
    if (!fs::exists(candidate / "libax_sys.so", error)) continue;
    folder = candidate.string();
    if (open_all(candidate, libraries, problem)) return libraries;
    fail("the NPU libraries in " + folder + " cannot be used: " + problem +
         "; all three of libax_sys.so, libax_interpreter.so and libax_engine.so belong there");
  }
  fail("libax_sys.so was found neither in " + places + " (" + problem +
       "); name its folder with --ax-lib-dir, or add it to the loader's path");
}

template <typename Function>
void look_up(void* library, const char* file, const char* name, bool is_needed,
             Function*& function) {
  function = reinterpret_cast<Function*>(dlsym(library, name));
  if (function == nullptr && is_needed) {
    fail(std::string(file) + " has no function " + name +
         "; it is of another kind or version than this program knows");
  }
}

}  // namespace

std::shared_ptr<const AxLibrary> AxLibrary::open(const fs::path& directory, const fs::path& root) {
  auto opened = std::make_shared<AxLibrary>();
  const OpenLibraries libraries = find_and_open(directory, root, opened->folder);
#define RUNNER_AX_LOOK_UP(library, is_needed, result, name, parameters) \
  look_up(libraries.library, "libax_" #library ".so", #name, is_needed, opened->name);
  RUNNER_AX_FUNCTIONS(RUNNER_AX_LOOK_UP)
#undef RUNNER_AX_LOOK_UP
  return opened;
}

std::string ax_code_text(std::int32_t code) {
  // Of the NPU module, and of memory ("SYS", part 0).
  static constexpr std::array<std::pair<std::uint32_t, const char*>, 14> kMeanings{
      {{0x80060081U, "no handle or context"},
       {0x80060082U, "task not valid"},
       {0x80060083U, "not initialised"},
       {0x80060084U, "bad argument"},
       {0x80060085U, "no resources"},
       {0x80060086U, "memory error"},
       {0x80060087U, "NPU could not be initialised, or is in another mode"},
       {0x80060088U, "not supported"},
       {0x80060089U, "task busy"},
       {0x8006008AU, "task failed"},
       {0x800B0010U, "the memory driver is not there"},
       {0x800B0018U, "out of NPU memory"},
       {0x800B000AU, "size out of range"},
       {0xFFFFFFFFU, "failed"}}};
  char text[16];
  std::snprintf(text, sizeof text, "0x%08X", static_cast<std::uint32_t>(code));
  for (const auto& [known, meaning] : kMeanings) {
    if (known == static_cast<std::uint32_t>(code)) return std::string(text) + " (" + meaning + ")";
  }
  return text;
}

}  // namespace runner
