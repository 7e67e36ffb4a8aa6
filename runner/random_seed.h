#pragma once

#include <sys/random.h>

#include <cstdint>

namespace runner {

// A seed from the kernel. Not std::random_device: with glibc 2.36 it needs a symbol that the
// module's Ubuntu 22.04 does not have.
inline std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  (void)!getrandom(&seed, sizeof seed, 0);  // never fails or stops short for so few bytes
  return seed;
}

}  // namespace runner
