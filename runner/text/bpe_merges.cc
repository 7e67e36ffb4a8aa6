#include "runner/text/bpe_merges.h"

#include <algorithm>
#include <bit>
#include <functional>

namespace runner {
namespace {

// Below this many tokens (nearly every word) looking at all pairs again beats a heap.
constexpr std::size_t kFewTokens = 48;
constexpr std::uint64_t kHashFactor = 0x9E3779B97F4A7C15U;  // 2^64 divided by the golden ratio

std::uint64_t pair_of(TokenId left, TokenId right) {
  return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32U) |
         static_cast<std::uint32_t>(right);
}

}  // namespace

BpeMerges::BpeMerges(std::size_t merges) {
  const std::size_t slots = std::bit_ceil(std::max<std::size_t>(16, 2 * merges));
  slots_.resize(slots);
  shift_ = 64 - std::countr_zero(slots);
}

std::size_t BpeMerges::slot(std::uint64_t pair) const {
  std::size_t index =
      static_cast<std::size_t>((pair * kHashFactor) >> static_cast<unsigned>(shift_));
  while (slots_[index].rank != kNoRank && slots_[index].pair != pair) {
    index = (index + 1) & (slots_.size() - 1);
  }
  return index;
}

void BpeMerges::add(TokenId left, TokenId right, std::uint32_t rank, TokenId merged) {
  const std::uint64_t pair = pair_of(left, right);
  slots_[slot(pair)] = {pair, rank, merged};
}

const BpeMerges::Merge& BpeMerges::find(TokenId left, TokenId right) const {
  return slots_[slot(pair_of(left, right))];
}

void BpeMerges::apply(std::vector<TokenId>& tokens) const {
  if (tokens.size() < 2) return;
  if (tokens.size() <= kFewTokens) {
    apply_to_few(tokens);
  } else {
    apply_to_many(tokens);
  }
}

void BpeMerges::apply_to_few(std::vector<TokenId>& tokens) const {
  const Merge* merges[kFewTokens];  // of token i with the one after it
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) merges[i] = &find(tokens[i], tokens[i + 1]);
  while (tokens.size() > 1) {
    const std::size_t pairs = tokens.size() - 1;
    std::size_t best = 0;
    for (std::size_t i = 1; i < pairs; ++i) {
      if (merges[i]->rank < merges[best]->rank) best = i;
    }
    if (merges[best]->rank == kNoRank) return;
    tokens[best] = merges[best]->merged;
    tokens.erase(tokens.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    std::copy(merges + best + 1, merges + pairs, merges + best);
    if (best > 0) merges[best - 1] = &find(tokens[best - 1], tokens[best]);
    if (best + 1 < tokens.size()) merges[best] = &find(tokens[best], tokens[best + 1]);
  }
}

// Neighbours that can be merged wait in a heap as rank and place in one number, so that the lowest
// number is the next merge. Merging makes some of them stale: they are looked up again when their
// turn comes.
void BpeMerges::apply_to_many(std::vector<TokenId>& tokens) const {
  // Tokens as a linked list by index; a token merged into the one before it has next == kGone.
  constexpr std::uint32_t kGone = UINT32_MAX;
  struct Link {
    std::uint32_t previous;
    std::uint32_t next;  // tokens.size() at the end
  };
  const auto count = static_cast<std::uint32_t>(tokens.size());
  std::vector<Link> links(count);
  std::vector<std::uint64_t> waiting;
  const auto wait = [&](std::uint32_t left, std::uint32_t right) {
    const std::uint32_t rank = find(tokens[left], tokens[right]).rank;
    if (rank != kNoRank) waiting.push_back((std::uint64_t{rank} << 32U) | left);
    return rank != kNoRank;
  };
  for (std::uint32_t i = 0; i < count; ++i) {
    links[i] = {i - 1, i + 1};
    if (i + 1 < count) wait(i, i + 1);
  }
  std::make_heap(waiting.begin(), waiting.end(), std::greater<>());

  while (!waiting.empty()) {
    std::pop_heap(waiting.begin(), waiting.end(), std::greater<>());
    const auto rank = static_cast<std::uint32_t>(waiting.back() >> 32U);
    const auto left = static_cast<std::uint32_t>(waiting.back());
    waiting.pop_back();
    const std::uint32_t right = links[left].next;
    if (right == kGone || right == count) continue;
    const Merge& merge = find(tokens[left], tokens[right]);
    if (merge.rank != rank) continue;
    tokens[left] = merge.merged;
    const std::uint32_t after = links[right].next;
    links[left].next = after;
    links[right].next = kGone;
    if (after != count) {
      links[after].previous = left;
      if (wait(left, after)) std::push_heap(waiting.begin(), waiting.end(), std::greater<>());
    }
    if (left != 0 && wait(links[left].previous, left)) {
      std::push_heap(waiting.begin(), waiting.end(), std::greater<>());
    }
  }

  std::size_t kept = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (links[i].next != kGone) tokens[kept++] = tokens[i];
  }
  tokens.resize(kept);
}

}  // namespace runner
