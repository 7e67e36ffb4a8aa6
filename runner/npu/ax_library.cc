#include "runner/npu/ax_library.h"

#include <dlfcn.h>

#include <algorithm>
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

constexpr std::array<const char*, 3> kLibraries{"libax_sys.so", "libax_interpreter.so",
                                                "libax_engine.so"};

struct OpenLibraries {
  void* sys = nullptr;
  void* engine = nullptr;
};

[[noreturn]] void fail(const std::string& what) { throw Error(ErrorCode::kNotBuilt, what); }

// nullptr with dlerror()'s text in `problem`.
void* open_library(const fs::path& path, int scope, std::string& problem) {
  void* library = dlopen(path.c_str(), RTLD_NOW | scope);
  if (library == nullptr) problem = dlerror();
  return library;
}

// By the loader's search path: the engine brings the others along, or nothing stays open.
bool open_by_name(OpenLibraries& libraries, std::string& problem) {
  libraries.engine = open_library("libax_engine.so", RTLD_LOCAL, problem);
  if (libraries.engine != nullptr) {
    libraries.sys = open_library("libax_sys.so", RTLD_LOCAL, problem);
  }
  return libraries.sys != nullptr;
}

// One by one from a folder that no search path covers. The interpreter uses functions of sys
// without saying so: sys must be visible to all.
bool open_in_folder(const fs::path& folder, OpenLibraries& libraries, std::string& problem) {
  libraries.sys = open_library(folder / kLibraries[0], RTLD_GLOBAL, problem);
  if (libraries.sys == nullptr) return false;
  if (open_library(folder / kLibraries[1], RTLD_GLOBAL, problem) == nullptr) return false;
  libraries.engine = open_library(folder / kLibraries[2], RTLD_LOCAL, problem);
  return libraries.engine != nullptr;
}

// The libraries that a folder lacks, "" when it has all.
std::string missing_in(const fs::path& folder) {
  std::string missing;
  for (const char* name : kLibraries) {
    std::error_code error;
    if (!fs::exists(folder / name, error))
      missing += (missing.empty() ? "" : ", ") + std::string(name);
  }
  return missing;
}

OpenLibraries open_given(const fs::path& directory) {
  OpenLibraries libraries;
  std::string problem;
  const std::string where = directory.string() + " (--ax-lib-dir)";
  if (const std::string missing = missing_in(directory); !missing.empty()) {
    fail(missing + " not found in " + where + "; all three NPU libraries belong there");
  }
  if (!open_in_folder(directory, libraries, problem)) {
    fail("the NPU libraries in " + where + " cannot be used: " + problem);
  }
  return libraries;
}

OpenLibraries open_anywhere(const fs::path& root, std::string& folder) {
  OpenLibraries libraries;
  std::string problem;
  if (open_by_name(libraries, problem)) return libraries;
  std::string places = "by the loader (" + problem + ")";
  for (const fs::path& vendor_folder : ax_library_folders(root)) {
    folder = vendor_folder.string();
    const std::string missing = missing_in(folder);
    if (missing.empty() && open_in_folder(folder, libraries, problem)) return libraries;
    places += ", in " + folder;
    const bool has_some = std::any_of(
        kLibraries.begin(), kLibraries.end(),
        [&](const char* library) { return missing.find(library) == std::string::npos; });
    if (has_some) {
      places += " (" + (missing.empty() ? problem : "without " + missing) + ")";
    }
  }
  fail("the NPU libraries were not found " + places +
       "; all three belong in one folder: name it with --ax-lib-dir, or add it to the loader's "
       "path");
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
  // The engine uses expf and sqrtf without naming libm, and a program with its own C++ runtime
  // may have brought none.
  dlopen("libm.so.6", RTLD_NOW | RTLD_GLOBAL);
  opened->folder = directory.string();
  const OpenLibraries libraries =
      directory.empty() ? open_anywhere(root, opened->folder) : open_given(directory);
#define RUNNER_AX_LOOK_UP(library, is_needed, result, name, parameters) \
  look_up(libraries.library, "libax_" #library ".so", #name, is_needed, opened->name);
  RUNNER_AX_FUNCTIONS(RUNNER_AX_LOOK_UP)
#undef RUNNER_AX_LOOK_UP
  return opened;
}

std::vector<std::string> ax_library_names() { return {kLibraries.begin(), kLibraries.end()}; }

std::vector<fs::path> ax_library_folders(const fs::path& root) {
  std::vector<fs::path> folders;
  for (const char* name : kVendorFolders) folders.push_back(root / name);
  return folders;
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
