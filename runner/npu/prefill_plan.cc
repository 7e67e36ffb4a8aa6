#include "runner/npu/prefill_plan.h"

#include <algorithm>
#include <cassert>
#include <optional>
#include <utility>

namespace runner {
namespace {

// A decode step reads all weights for one row, and so takes as long as about this many rows of a
// prefill. Published for Qwen2.5-0.5B on an AX630C: 128 rows in 360 ms, a decode step in 97 ms.
constexpr int kRowsOfDecodeStep = 32;

std::optional<std::size_t> prefill_group(std::span<const ShapeGroup> groups, int length, int rows) {
  std::optional<std::size_t> best;
  const auto is_better = [&](const ShapeGroup& left, const ShapeGroup& right) {
    if (left.history != right.history) return left.history < right.history;
    const bool left_holds_all = left.rows >= rows;
    if (left_holds_all != (right.rows >= rows)) return left_holds_all;
    return left_holds_all ? left.rows < right.rows : left.rows > right.rows;
  };
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (groups[i].rows == 1 || groups[i].history < length) continue;
    if (!best || is_better(groups[i], groups[*best])) best = i;
  }
  return best;
}

// Appends the steps for `rows` rows behind `length`; returns what they cost, in rows.
int add_steps(std::span<const ShapeGroup> groups, int length, int rows,
              std::vector<PrefillStep>& steps) {
  int cost = 0;
  while (rows > 0) {
    const auto prefill = prefill_group(groups, length, rows);
    PrefillStep step{0, 1};
    if (prefill && groups[*prefill].rows < rows * kRowsOfDecodeStep) {
      step = {*prefill, std::min(groups[*prefill].rows, rows)};
      cost += groups[*prefill].rows;
    } else {
      step.group = decode_group(groups, length);
      cost += kRowsOfDecodeStep;
    }
    steps.push_back(step);
    length += step.rows;
    rows -= step.rows;
  }
  return cost;
}

}  // namespace

std::size_t decode_group(std::span<const ShapeGroup> groups, int length) {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (groups[i].rows != 1 || groups[i].history < length) continue;
    if (!best || groups[i].history < groups[*best].history) best = i;
  }
  assert(best);
  return *best;
}

PrefillPlan plan_prefill(std::span<const ShapeGroup> groups, int length, int rows) {
  PrefillPlan kept{length, {}};
  const int cost = add_steps(groups, length, rows, kept.steps);
  if (length == 0) return kept;
  PrefillPlan anew{0, {}};
  const int cost_anew = add_steps(groups, 0, length + rows, anew.steps);
  return cost_anew < cost ? std::move(anew) : std::move(kept);
}

}  // namespace runner
