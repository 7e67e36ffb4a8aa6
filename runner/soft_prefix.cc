#include "runner/soft_prefix.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "runner/error.h"

namespace runner {
namespace {

static_assert(std::endian::native == std::endian::little, "the values on the wire are too");

[[noreturn]] void refuse_rows(const std::string& what) {
  throw Error(ErrorCode::kBadSoftPrefix, "soft prefix: " + what);
}

void check_hidden(int hidden) {
  if (hidden < 1) refuse_rows("the hidden size must be at least 1, got " + std::to_string(hidden));
}

std::string place(std::size_t index, int hidden) {
  const auto width = static_cast<std::size_t>(hidden);
  return "row " + std::to_string(index / width) + ", column " + std::to_string(index % width);
}

void check_finite(std::span<const Bf16> values, int hidden) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (is_finite(values[i])) continue;
    const bool nan = std::isnan(to_float(values[i]));
    refuse_rows(std::string(nan ? "NaN" : "infinity") + " at " + place(i, hidden));
  }
}

}  // namespace

SoftPrefix SoftPrefix::from_bytes(std::span<const std::byte> bytes, long long rows, int hidden) {
  check_hidden(hidden);
  if (rows < 1) refuse_rows("len must be at least 1, got " + std::to_string(rows));
  // Compared by division, so that no `rows` overflows; the message says the product if it fits.
  const auto row_bytes = static_cast<std::uint64_t>(hidden) * sizeof(Bf16);
  const auto wanted_rows = static_cast<std::uint64_t>(rows);
  if (bytes.size() % row_bytes != 0 || bytes.size() / row_bytes != wanted_rows) {
    const bool fits = wanted_rows <= std::numeric_limits<std::uint64_t>::max() / row_bytes;
    refuse_rows("got " + std::to_string(bytes.size()) + " bytes, need P*H*2 = " +
                (fits ? std::to_string(wanted_rows * row_bytes) : "more than there can be") +
                " for P=" + std::to_string(rows) + ", H=" + std::to_string(hidden));
  }
  std::vector<Bf16> values(bytes.size() / sizeof(Bf16));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return {std::move(values), hidden};
}

SoftPrefix::SoftPrefix(std::vector<Bf16> values, int hidden)
    : values_(std::move(values)), hidden_(hidden) {
  check_hidden(hidden);
  if (values_.empty()) refuse_rows("len must be at least 1, got 0");
  if (values_.size() % static_cast<std::size_t>(hidden) != 0) {
    refuse_rows("got " + std::to_string(values_.size()) +
                " values, which are no whole rows of H=" + std::to_string(hidden));
  }
  if (values_.size() / static_cast<std::size_t>(hidden) >
      static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    refuse_rows("too many rows");
  }
  check_finite(values_, hidden);
}

SoftPrefix SoftPrefix::scaled(float scale) const {
  if (!std::isfinite(scale)) refuse_rows("scale must be a finite number");
  SoftPrefix result = *this;
  for (std::size_t i = 0; i < values_.size(); ++i) {
    result.values_[i] = to_bf16(to_float(values_[i]) * scale);
    if (!is_finite(result.values_[i])) {
      refuse_rows("scale " + std::to_string(scale) + " makes the value at " + place(i, hidden_) +
                  " infinite");
    }
  }
  return result;
}

}  // namespace runner
