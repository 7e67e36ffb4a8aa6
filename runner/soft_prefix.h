#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "runner/engine.h"

namespace runner {

// A soft prefix: bf16 rows [rows, hidden] that stand before the embedded prompt at positions
// 0..rows-1. All values are finite. Immutable.
class SoftPrefix {
 public:
  // From little-endian bf16 bytes, row by row. Throws Error(kBadSoftPrefix):
  //   - rows < 1: "len must be at least 1, got …"
  //   - bytes.size() != rows*hidden*2: "got N bytes, need P*H*2 = M for P=…, H=…"
  //   - NaN or infinity: names the row and the column of the first one.
  static SoftPrefix from_bytes(std::span<const std::byte> bytes, long long rows, int hidden);

  // From values [rows, hidden] already in memory; the same checks.
  SoftPrefix(std::vector<Bf16> values, int hidden);

  // Every value times `scale`, rounded to nearest-even bf16. Throws Error(kBadSoftPrefix) when
  // `scale` is not finite or a product is not.
  SoftPrefix scaled(float scale) const;

  int rows() const { return view().rows(); }
  int hidden() const { return hidden_; }
  EmbeddingView view() const { return {values_, hidden_}; }

 private:
  std::vector<Bf16> values_;
  int hidden_;
};

}  // namespace runner
