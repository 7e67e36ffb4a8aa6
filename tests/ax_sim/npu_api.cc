// What libax_interpreter.so exports, and the checks of what a run's inputs contain.

#include <cstdio>
#include <cstring>
#include <ctime>

#include "tests/ax_sim/ax_abi.h"
#include "tests/ax_sim/npu_model.h"
#include "tests/ax_sim/sim_sys.h"

namespace ax_sim {
namespace {

// Names the model, the group and the tensor in a violation.
struct Where {
  const NpuModel& model;
  std::uint32_t group;

  template <typename... Values>
  void violation(const char* tensor, const char* format, Values... values) const {
    char text[256];
    std::snprintf(text, sizeof text, format, values...);
    if (model.header.kind == ModelKind::kPost) {
      AX_SIM_Violation("run of the post model: %s: %s", tensor, text);
    } else {
      AX_SIM_Violation("run of layer %u, group %u: %s: %s", model.header.index, group, tensor,
                       text);
    }
  }
};

// The first index of a bf16 value for which `bad` holds; count when there is none.
template <typename Bad>
std::size_t find_bad(const std::byte* tensor, std::size_t count, const Bad& bad) {
  constexpr std::size_t kBlock = 256;
  std::uint16_t block[kBlock];
  for (std::size_t first = 0; first < count; first += kBlock) {
    const std::size_t length = count - first < kBlock ? count - first : kBlock;
    std::memcpy(block, tensor + first * 2, length * 2);
    unsigned any = 0;
    for (std::size_t i = 0; i < length; ++i) any |= bad(block[i]) ? 1U : 0U;
    for (std::size_t i = 0; any != 0 && i < length; ++i) {
      if (bad(block[i])) return first + i;
    }
  }
  return count;
}

std::uint16_t value_at(const std::byte* tensor, std::size_t index) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, tensor + index * 2, sizeof bits);
  return bits;
}

bool check_finite(const Where& where, const char* name, const std::byte* tensor, std::size_t rows,
                  std::size_t width) {
  const std::size_t at =
      find_bad(tensor, rows * width, [](std::uint16_t bits) { return !finite(bits); });
  if (at == rows * width) return true;
  where.violation(name, "row %zu, column %zu is 0x%04X, expected a finite value", at / width,
                  at % width, value_at(tensor, at));
  return false;
}

bool check_mask(const Where& where, const std::byte* mask, const GroupHeader& group) {
  const std::size_t columns = group.mask_columns;
  const std::size_t at = find_bad(mask, group.rows * columns, [](std::uint16_t bits) {
    return bits != kVisible && bits != kHidden;
  });
  if (at == group.rows * columns) return true;
  where.violation(kMask, "row %zu, column %zu is 0x%04X, expected 0x0000 or 0xC780", at / columns,
                  at % columns, value_at(mask, at));
  return false;
}

void sleep_ms(std::uint32_t milliseconds) {
  const std::timespec time{static_cast<std::time_t>(milliseconds / 1000),
                           static_cast<long>(milliseconds % 1000) * 1000000};
  ::nanosleep(&time, nullptr);
}

bool check_indices(const Where& where, const std::byte* indices, const GroupHeader& group) {
  for (std::size_t row = 0; row < group.rows; ++row) {
    std::uint32_t index = 0;
    std::memcpy(&index, indices + row * sizeof index, sizeof index);
    if (index < where.model.header.positions) continue;
    where.violation(kIndices, "row %zu is %u, the position table ends at %u: the NPU hangs", row,
                    index, where.model.header.positions);
    sleep_ms(AX_SIM_Settings().hang_ms);
    return false;
  }
  return true;
}

bool check_layer(const Where& where, const GroupHeader& group, const LayerIo& io) {
  const ModelHeader& m = where.model.header;
  const std::size_t kv = std::size_t{m.kv_heads} * m.head_dim;
  return check_mask(where, io.mask, group) &&
         check_finite(where, kInput, io.input, group.rows, m.hidden) &&
         (group.history == 0 || (check_finite(where, kKeys, io.keys, group.history, kv) &&
                                 check_finite(where, kValues, io.values, group.history, kv))) &&
         check_indices(where, io.indices, group);
}

std::int32_t run_layer_group(NpuModel& model, std::uint32_t number, const NpuBinding* inputs,
                             const NpuBinding* outputs) {
  const NpuGroup& group = model.groups[number];
  const auto in = [&](const char* name) {
    return find_tensor(group.inputs, group.input_count, inputs, name);
  };
  const auto out = [&](const char* name) {
    return find_tensor(group.outputs, group.output_count, outputs, name);
  };
  const LayerIo io{in(kIndices), in(kInput),    in(kMask),       in(kKeys),
                   in(kValues),  out(kKeysOut), out(kValuesOut), out(kOutput)};
  if (!check_layer({model, number}, group.header, io)) return kNpuTaskFailed;
  const std::size_t rows = run_layer(model, group.header, io);
  if (group.header.rows == 1) {
    AX_SIM_Count(Count::kDecodeRuns, 1);
  } else {
    AX_SIM_Count(Count::kPrefillRuns, 1);
    AX_SIM_Count(Count::kPrefillRows, static_cast<std::int64_t>(rows));
  }
  return 0;
}

std::int32_t run_post_group(NpuModel& model, const NpuBinding* inputs, const NpuBinding* outputs) {
  const NpuGroup& group = model.groups[0];
  const auto out = [&](const char* name) {
    return find_tensor(group.outputs, group.output_count, outputs, name);
  };
  if (model.free) {
    run_free_post(model, group, outputs);
  } else {
    if (!check_finite({model, 0}, kInput, inputs[0].data, 1, model.header.hidden)) {
      return kNpuTaskFailed;
    }
    run_post(model, inputs[0].data, out(kOutput), out(kIndices), out(kScores));
  }
  AX_SIM_Count(Count::kPostRuns, 1);
  return 0;
}

}  // namespace
}  // namespace ax_sim

ax_sim::NpuModel* AX_NPU_Open(const void* data, std::uint32_t bytes) {
  const char* why = nullptr;
  ax_sim::NpuModel* model = ax_sim::NpuModel::parse(static_cast<const std::byte*>(data), bytes,
                                                    AX_SIM_Settings().free, &why);
  if (model == nullptr) {
    constexpr std::int32_t kError = 3;
    char text[128];
    std::snprintf(text, sizeof text, "NPU model of %u bytes: %s", bytes, why);
    AX_SYS_LogPrint(kError, text);
  }
  return model;
}

void AX_NPU_Close(ax_sim::NpuModel* model) { delete model; }

const ax_sim::ModelHeader* AX_NPU_Header(const ax_sim::NpuModel* model) { return &model->header; }

const ax_sim::NpuGroup* AX_NPU_Group(const ax_sim::NpuModel* model, std::uint32_t group) {
  return &model->groups[group];
}

std::int32_t AX_NPU_Run(ax_sim::NpuModel* model, std::uint32_t group,
                        const ax_sim::NpuBinding* inputs, const ax_sim::NpuBinding* outputs) {
  ++model->runs;
  return model->header.kind == ax_sim::ModelKind::kPost
             ? ax_sim::run_post_group(*model, inputs, outputs)
             : ax_sim::run_layer_group(*model, group, inputs, outputs);
}
