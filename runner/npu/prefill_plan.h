#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace runner {

// What one compiled graph of a layer can do: `rows` at a time behind at most `history` K/V rows.
// One row is a decode step, more are a prefill chunk.
struct ShapeGroup {
  int rows = 0;
  int history = 0;
};

struct PrefillStep {
  std::size_t group = 0;
  int rows = 0;  // at most the group's
  friend bool operator==(const PrefillStep&, const PrefillStep&) = default;
};

struct PrefillPlan {
  int first_row = 0;  // rows from here on are computed; the ones before stay as they are
  std::vector<PrefillStep> steps;
};

// The group that decodes behind `length` rows: the smallest that reaches so far.
// REQUIRES: some group of one row has history >= length.
std::size_t decode_group(std::span<const ShapeGroup> groups, int length);

// How to append `rows` rows to a cache that holds `length`. Chunks use the prefill group with the
// least history that suffices; where none reaches, or for a few rows, decode steps do it. Rows in
// the cache are computed again when that takes less time, which is so where prefill groups have
// no history: one run then replaces many decode steps.
//
// A function of its arguments alone, so that the same request is always computed the same way.
// REQUIRES: rows >= 1, length + rows <= 1 + the most history of a decode group.
PrefillPlan plan_prefill(std::span<const ShapeGroup> groups, int length, int rows);

}  // namespace runner
