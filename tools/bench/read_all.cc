#include "tools/bench/read_all.h"

#include <cstdint>

// Compiled once per instruction set: wide loads read faster.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tools/bench/read_all.cc"
#include <hwy/foreach_target.h>
// Behind foreach_target.h, which decides for what this is compiled.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void read_all_target(const std::byte* bytes, std::size_t count) {
  constexpr hn::ScalableTag<std::uint64_t> kTag{};
  const std::size_t lanes = hn::Lanes(kTag);
  const auto* words = reinterpret_cast<const std::uint64_t*>(bytes);
  auto a = hn::Zero(kTag);
  auto b = a;
  auto c = a;
  auto d = a;
  for (std::size_t i = 0; i + 4 * lanes <= count / sizeof *words; i += 4 * lanes) {
    a = hn::Xor(a, hn::LoadU(kTag, words + i));
    b = hn::Xor(b, hn::LoadU(kTag, words + i + lanes));
    c = hn::Xor(c, hn::LoadU(kTag, words + i + 2 * lanes));
    d = hn::Xor(d, hn::LoadU(kTag, words + i + 3 * lanes));
  }
  volatile std::uint64_t sink = hn::GetLane(hn::Xor(hn::Xor(a, b), hn::Xor(c, d)));
  (void)sink;  // without it the loop would be left out
}

}  // namespace HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
HWY_EXPORT(read_all_target);

void read_all(std::span<const std::byte> bytes) {
  HWY_DYNAMIC_DISPATCH(read_all_target)(bytes.data(), bytes.size());
}
#endif  // HWY_ONCE
