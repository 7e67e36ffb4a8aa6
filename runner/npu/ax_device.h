#pragma once

#include <filesystem>
#include <memory>

#include "runner/npu/ax_library.h"
#include "runner/npu/device.h"

namespace runner {

// The NPU of an AX630C or AX650 on this board, through AXERA's libraries: initialised by this
// call, given back when the device, its memory and its graphs are all gone. `root` is where /dev
// is looked for, to say what is missing.
//
// All memory is cached by the processor: what it writes is flushed, what the NPU wrote is
// invalidated before it is read, in the ranges concerned.
//
// Throws Error(kEngineFailed) naming function and code.
std::shared_ptr<NpuDevice> make_ax_device(std::shared_ptr<const AxLibrary> library,
                                          const std::filesystem::path& root);

}  // namespace runner
