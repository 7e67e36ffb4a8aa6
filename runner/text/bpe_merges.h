#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "runner/engine.h"

namespace runner {

// The merges of a byte-pair encoding, and the merging. Immutable once filled.
class BpeMerges {
 public:
  // Room for `merges` of them.
  explicit BpeMerges(std::size_t merges);

  // Tokens `left` and `right` side by side become `merged`; lower ranks go first. Of two merges
  // of one pair the later one counts.
  void add(TokenId left, TokenId right, std::uint32_t rank, TokenId merged);

  // Merges `tokens` until no two neighbours can be: each time the pair of the lowest rank, of
  // equal ones the leftmost. For n tokens it takes O(n log n) steps.
  void apply(std::vector<TokenId>& tokens) const;

 private:
  static constexpr std::uint32_t kNoRank = UINT32_MAX;

  struct Merge {
    std::uint64_t pair;
    std::uint32_t rank = kNoRank;  // of an empty slot
    TokenId merged = 0;
  };

  std::size_t slot(std::uint64_t pair) const;
  const Merge& find(TokenId left, TokenId right) const;
  void apply_to_few(std::vector<TokenId>& tokens) const;
  void apply_to_many(std::vector<TokenId>& tokens) const;

  std::vector<Merge> slots_;  // open addressing, linear probing; a power of two, half full at most
  int shift_;                 // of the hash, to an index of slots_
};

}  // namespace runner
