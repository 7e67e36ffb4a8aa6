#include "runner/soft_prefix.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "runner/error.h"

namespace runner {
namespace {

std::string refusal(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadSoftPrefix);
    return error.what();
  }
  return "no Error";
}

std::vector<Bf16> values(std::initializer_list<float> floats) {
  std::vector<Bf16> result;
  for (const float value : floats) result.push_back(to_bf16(value));
  return result;
}

TEST(SoftPrefix, ReadsLittleEndianRows) {
  const unsigned char raw[] = {0x80, 0x3F, 0x00, 0xC0, 0x00, 0x00, 0x00, 0x80};
  const SoftPrefix prefix = SoftPrefix::from_bytes(std::as_bytes(std::span(raw)), 2, 2);
  EXPECT_EQ(prefix.rows(), 2);
  EXPECT_EQ(prefix.hidden(), 2);
  EXPECT_EQ(to_float(prefix.view().row(0)[0]), 1.0F);
  EXPECT_EQ(to_float(prefix.view().row(0)[1]), -2.0F);
  EXPECT_EQ(prefix.view().row(1)[1].bits, 0x8000);  // minus zero stays
}

TEST(SoftPrefix, RefusesAWrongLengthWithTheNumbers) {
  const std::vector<std::byte> bytes(12);
  EXPECT_EQ(refusal([&] { SoftPrefix::from_bytes(bytes, 0, 2); }),
            "soft prefix: len must be at least 1, got 0");
  EXPECT_EQ(refusal([&] { SoftPrefix::from_bytes(bytes, -7, 2); }),
            "soft prefix: len must be at least 1, got -7");
  EXPECT_EQ(refusal([&] { SoftPrefix::from_bytes(bytes, 2, 2); }),
            "soft prefix: got 12 bytes, need P*H*2 = 8 for P=2, H=2");
  EXPECT_EQ(refusal([&] { SoftPrefix::from_bytes({}, 1, 2); }),
            "soft prefix: got 0 bytes, need P*H*2 = 4 for P=1, H=2");
  EXPECT_EQ(refusal([&] { SoftPrefix::from_bytes(std::span(bytes).first(11), 3, 2); }),
            "soft prefix: got 11 bytes, need P*H*2 = 12 for P=3, H=2");
  EXPECT_NE(refusal([&] {
              SoftPrefix::from_bytes(bytes, std::numeric_limits<long long>::max(), 2);
            }).find("for P=9223372036854775807, H=2"),
            std::string::npos);
  EXPECT_EQ(refusal([] { SoftPrefix({}, 2); }), "soft prefix: len must be at least 1, got 0");
  EXPECT_EQ(refusal([] {
              SoftPrefix(values({1, 2, 3}), 2);
            }),
            "soft prefix: got 3 values, which are no whole rows of H=2");
}

TEST(SoftPrefix, RefusesValuesThatAreNotFiniteByPlace) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(refusal([] {
              SoftPrefix(values({0, 1, 2, 3, 4, infinity}), 3);
            }),
            "soft prefix: infinity at row 1, column 2");
  EXPECT_EQ(refusal([] {
              SoftPrefix(values({0, -infinity, 2, 3}), 2);
            }),
            "soft prefix: infinity at row 0, column 1");
  const unsigned char raw[] = {0, 0, 0, 0, 0x81, 0x7F, 0, 0};
  EXPECT_EQ(refusal([&] { SoftPrefix::from_bytes(std::as_bytes(std::span(raw)), 2, 2); }),
            "soft prefix: NaN at row 1, column 0");
}

TEST(SoftPrefix, ScalesWithRoundingToNearestEven) {
  const SoftPrefix prefix(values({1.0F, -3.0F, 0.0F, 1.0078125F}), 2);
  const SoftPrefix half = prefix.scaled(0.5F);
  EXPECT_EQ(half.rows(), 2);
  EXPECT_EQ(to_float(half.view().values()[1]), -1.5F);
  // 1.0078125 = 1 + 2^-7, times 1.5 = 1.51171875: half way between two bf16, 1.5078125 (odd) and
  // 1.515625 (even).
  EXPECT_EQ(to_float(prefix.scaled(1.5F).view().values()[3]), 1.515625F);
  EXPECT_EQ(to_float(prefix.scaled(0.0F).view().values()[1]), 0.0F);
  EXPECT_EQ(prefix.scaled(1.0F).view().values()[3], prefix.view().values()[3]);
}

TEST(SoftPrefix, RefusesAScaleThatLeavesTheRange) {
  const SoftPrefix prefix(values({0, 3e38F}), 2);
  EXPECT_EQ(refusal([&] { prefix.scaled(2.0F); }),
            "soft prefix: scale 2.000000 makes the value at row 0, column 1 infinite");
  EXPECT_EQ(refusal([&] { prefix.scaled(std::numeric_limits<float>::quiet_NaN()); }),
            "soft prefix: scale must be a finite number");
}

}  // namespace
}  // namespace runner
