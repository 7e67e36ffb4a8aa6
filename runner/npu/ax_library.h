#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "runner/npu/ax_abi.h"

namespace runner {

// AXERA's NPU libraries, opened at run time, and the addresses of their functions. They stay open
// for the life of the process: they do not bear to be closed.
struct AxLibrary {
#define RUNNER_AX_MEMBER(library, is_needed, result, name, parameters) \
  result(*name) parameters = nullptr;
  RUNNER_AX_FUNCTIONS(RUNNER_AX_MEMBER)
#undef RUNNER_AX_MEMBER

  std::string folder;  // where they were found; "" for the system's search path

  // Opens libax_sys.so, libax_interpreter.so and libax_engine.so, all three from one place: from
  // `directory` alone when it is given, else by the system's search path, else from the folders
  // (below `root`) that vendors put them in. Optional functions may be null.
  // Throws Error(kNotBuilt) naming the library or function that is missing, the places looked in
  // and what would help.
  static std::shared_ptr<const AxLibrary> open(const std::filesystem::path& directory,
                                               const std::filesystem::path& root);
};

// The names of the three libraries, and the folders below `root` that vendors put them in.
std::vector<std::string> ax_library_names();
std::vector<std::filesystem::path> ax_library_folders(const std::filesystem::path& root);

// "0x80060081 (no handle or context)": a code of the vendor, with its meaning where it is known.
std::string ax_code_text(std::int32_t code);

}  // namespace runner
