// What is checked of a run's buffers before the NPU sees them.

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "tests/ax_sim/engine_handles.h"
#include "tests/ax_sim/sim_sys.h"

namespace ax_sim {
namespace {

constexpr std::uint64_t kAlignment = 128;
constexpr std::uint16_t kHidden = 0xC780;

// A bound tensor.
struct Bound {
  const TensorDesc* desc = nullptr;
  NpuBinding binding{};
  bool output = false;
  bool in_place = false;  // an output in hidden slots of its own cache

  std::uint64_t end() const { return binding.phy + desc->bytes; }
};

bool overlap(const Bound& a, const Bound& b) {
  return a.binding.phy < b.end() && b.binding.phy < a.end();
}

class RunCheck {
 public:
  RunCheck(const char* function, const EngineHandle& handle, std::uint32_t group)
      : function_(function),
        handle_(handle),
        group_(group),
        header_(AX_NPU_Group(handle.model.get(), group)->header) {}

  bool check(const IoRun* io) {
    const GroupDesc& desc = *handle_.groups[group_];
    if (io == nullptr) return violation("io", "is NULL");
    if (io->batch > 1) return violation("io", "batch %u, expected 0 or 1", io->batch);
    if (io->setting != nullptr || !zero(io->reserved)) {
      return violation("io", "setting or reserved words are not zero");
    }
    return check_count("inputs", io->inputs, io->input_count, desc.inputs.size()) &&
           check_count("outputs", io->outputs, io->output_count, desc.outputs.size()) &&
           bind(desc.inputs, io->inputs, false) && bind(desc.outputs, io->outputs, true) &&
           check_overlaps();
  }

  const NpuBinding* inputs() const { return inputs_; }
  const NpuBinding* outputs() const { return outputs_; }

  // What was in the outputs is lost even when the run fails.
  void scribble() const {
    for (const Bound& bound : bound_) {
      if (bound.output && !bound.in_place) {
        std::memset(bound.binding.data, 0xFF, bound.desc->bytes);
      }
    }
  }

 private:
  template <typename... Values>
  bool violation(const char* what, const char* format, Values... values) const {
    char text[256];
    std::snprintf(text, sizeof text, format, values...);
    AX_SIM_Violation("%s: %s, group %u: %s: %s", function_, handle_.name.c_str(), group_, what,
                     text);
    return false;
  }
  bool violation(const char* what, const char* text) const { return violation(what, "%s", text); }

  static bool zero(const std::uint64_t (&words)[11]) {
    return std::all_of(words, words + 11, [](std::uint64_t word) { return word == 0; });
  }

  bool check_count(const char* what, const IoBuffer* buffers, std::uint32_t count,
                   std::size_t expected) const {
    if (count == expected && buffers != nullptr) return true;
    return violation(what, "%u buffers, expected %zu", count, expected);
  }

  bool bind(const std::vector<TensorDesc>& descs, const IoBuffer* buffers, bool output) {
    for (std::size_t i = 0; i < descs.size(); ++i) {
      if (!bind(descs[i], buffers[i], output)) return false;
      (output ? outputs_ : inputs_)[i] = bound_.back().binding;
    }
    return true;
  }

  bool bind(const TensorDesc& desc, const IoBuffer& buffer, bool output) {
    const auto phy = static_cast<unsigned long long>(buffer.phy);
    if (buffer.stride != nullptr || buffer.stride_rank != 0 || !zero(buffer.reserved)) {
      return violation(desc.name, "strides or reserved words are not zero");
    }
    if (buffer.bytes < desc.bytes) {
      return violation(desc.name, "buffer of %u bytes, expected %u", buffer.bytes, desc.bytes);
    }
    if (buffer.phy % kAlignment != 0) {
      return violation(desc.name, "physical address 0x%llx is not aligned to 128", phy);
    }
    Place place{};
    if (!AX_SIM_FindPlace(buffer.phy, buffer.vir, &place)) {
      return violation(desc.name, "physical address 0x%llx is in no live block", phy);
    }
    if (!place.same_as_host) {
      return violation(desc.name, "physical address 0x%llx and virtual address %p differ (tag %s)",
                       phy, buffer.vir, place.tag);
    }
    if (place.offset + buffer.bytes > place.bytes) {
      return violation(desc.name, "%u bytes at offset %llu of a block of %llu (tag %s)",
                       buffer.bytes, static_cast<unsigned long long>(place.offset),
                       static_cast<unsigned long long>(place.bytes), place.tag);
    }
    bound_.push_back({&desc, {place.device, buffer.phy}, output, false});
    return true;
  }

  bool check_overlaps() {
    for (std::size_t o = 0; o < bound_.size(); ++o) {
      if (!bound_[o].output) continue;
      for (std::size_t other = 0; other < bound_.size(); ++other) {
        const bool counted = bound_[other].output && other >= o;  // each pair once
        if (counted || !overlap(bound_[o], bound_[other])) continue;
        if (!may_overlap(bound_[o], bound_[other])) {
          return violation(bound_[o].desc->name, "overlaps %s", bound_[other].desc->name);
        }
        bound_[o].in_place = true;
      }
    }
    return true;
  }

  // An output inside its own cache, in slots that no row sees.
  bool may_overlap(const Bound& output, const Bound& input) const {
    const std::string cache = input.desc->name;
    if (input.output || (cache != "K_cache" && cache != "V_cache")) return false;
    if (cache + "_out" != output.desc->name) return false;
    if (header_.history == 0) return true;
    const auto slot_bytes = static_cast<std::int64_t>(input.desc->bytes / header_.history);
    const std::int64_t distance = static_cast<std::int64_t>(output.binding.phy - input.binding.phy);
    if (distance % slot_bytes != 0) return false;
    const std::int64_t first = distance / slot_bytes;
    for (std::int64_t slot = first; slot < first + header_.rows; ++slot) {
      if (slot >= 0 && slot < header_.history && !hidden(static_cast<std::size_t>(slot))) {
        return false;
      }
    }
    return true;
  }

  bool hidden(std::size_t column) const {
    const auto mask = std::find_if(bound_.begin(), bound_.end(), [](const Bound& bound) {
      return std::strcmp(bound.desc->name, "mask") == 0;
    });
    for (std::size_t row = 0; row < header_.rows; ++row) {
      std::uint16_t bits = 0;
      std::memcpy(&bits, mask->binding.data + (row * header_.mask_columns + column) * 2, 2);
      if (bits != kHidden) return false;
    }
    return true;
  }

  const char* function_;
  const EngineHandle& handle_;
  const std::uint32_t group_;
  const GroupHeader& header_;
  std::vector<Bound> bound_;
  NpuBinding inputs_[kMaxTensors] = {};
  NpuBinding outputs_[kMaxTensors] = {};
};

}  // namespace

std::int32_t checked_run(const char* function, EngineHandle& handle, std::uint32_t group,
                         const IoRun* io) {
  RunCheck check(function, handle, group);
  if (!check.check(io)) return kNpuArgument;
  const Settings settings = AX_SIM_Settings();
  check.scribble();
  if (settings.run_ms > 0) {
    const std::timespec time{static_cast<std::time_t>(settings.run_ms / 1000),
                             static_cast<long>(settings.run_ms % 1000) * 1000000};
    ::nanosleep(&time, nullptr);
  }
  return AX_NPU_Run(handle.model.get(), group, check.inputs(), check.outputs());
}

}  // namespace ax_sim
