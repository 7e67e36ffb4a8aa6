#include "runner/npu/step_inputs.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/runner/fake_device.h"

namespace runner {
namespace {

using fakes::FakeDevice;

const std::vector<ShapeGroup> kGroups{{1, 6}, {4, 0}, {4, 5}};

// A mask as text, a line for each row: 'o' is seen, '.' hidden.
std::string drawn(const NpuSlice& slice, const ShapeGroup& group) {
  std::string text;
  const auto* values = slice.as<Bf16>();
  for (int row = 0; row < group.rows; ++row) {
    for (int column = 0; column < group.history + group.rows; ++column) {
      const std::uint16_t bits = (values++)->bits;
      text += bits == 0 ? 'o' : bits == 0xC780 ? '.' : '?';
    }
    text += '\n';
  }
  return text;
}

class StepInputsTest : public testing::Test {
 protected:
  std::string mask(std::size_t group, int length, int count) {
    return drawn(inputs_.mask(group, length, count), kGroups[group]);
  }
  FakeDevice device_;
  StepInputs inputs_{device_, kGroups};
};

TEST_F(StepInputsTest, PositionsAreWrittenForAllRows) {
  const NpuSlice slice = inputs_.positions(7, 4);
  EXPECT_EQ(slice.bytes, 16U);
  for (std::uint32_t i = 0; i < 4; ++i) EXPECT_EQ(slice.as<std::uint32_t>()[i], 7 + i);
}

TEST_F(StepInputsTest, ThePrefillMaskIsWrittenInFullEachTime) {
  EXPECT_EQ(mask(1, 0, 4), "o...\noo..\nooo.\noooo\n");
  EXPECT_EQ(mask(2, 3, 2), "ooo..o...\nooo..oo..\n.........\n.........\n");
  EXPECT_EQ(mask(1, 0, 1), "o...\n....\n....\n....\n") << "nothing is left of the ones before";
}

TEST_F(StepInputsTest, TheDecodeMaskFollowsTheLengthBothWays) {
  EXPECT_EQ(mask(0, 0, 1), "......o\n");
  EXPECT_EQ(mask(0, 3, 1), "ooo...o\n");
  EXPECT_EQ(mask(0, 4, 1), "oooo..o\n");
  EXPECT_EQ(mask(0, 1, 1), "o.....o\n");
  EXPECT_EQ(mask(0, 6, 1), "ooooooo\n");
}

TEST_F(StepInputsTest, TheDecodeMaskIsFlushedWhereItChangedOnly) {
  mask(0, 2, 1);
  device_.flushed.clear();
  mask(0, 2, 1);
  EXPECT_TRUE(device_.flushed.empty());
  mask(0, 3, 1);
  ASSERT_EQ(device_.flushed.size(), 1U);
  EXPECT_EQ(device_.flushed[0].bytes, kCacheLine);
}

TEST(ZeroRows, RefreshesALineSharedWithTheRowBefore) {
  FakeDevice device;
  const auto memory = device.allocate(400, "test");
  // Rows of 50 values: 100 bytes.
  zero_rows(device, memory->slice(), 50, 1, 3);
  ASSERT_EQ(device.invalidated.size(), 1U);
  EXPECT_EQ(device.invalidated[0].host, memory->slice().host + 64);
  EXPECT_EQ(device.invalidated[0].bytes, 64U);
  ASSERT_EQ(device.flushed.size(), 1U);
  EXPECT_EQ(device.flushed[0].bytes, 320U - 64U);
  EXPECT_EQ(memory->slice().host[99], std::byte{0xFF});
  for (std::size_t i = 100; i < 300; ++i) EXPECT_EQ(memory->slice().host[i], std::byte{0});
  EXPECT_EQ(memory->slice().host[300], std::byte{0xFF});
}

TEST(ZeroRows, TouchesNothingWhereAllRowsAreInUse) {
  FakeDevice device;
  const auto memory = device.allocate(400, "test");
  zero_rows(device, memory->slice(), 50, 3, 3);
  EXPECT_TRUE(device.flushed.empty() && device.invalidated.empty());
}

TEST(WriteRows, ZeroesTheRowsBehind) {
  FakeDevice device;
  const auto memory = device.allocate(64, "test");
  const std::vector<Bf16> rows(4, Bf16{0x3F80});
  write_rows(device, memory->slice(), {rows, 2}, 5);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(memory->slice().as<Bf16>()[i].bits, i < 4 ? 0x3F80 : 0);
  EXPECT_EQ(memory->slice().as<Bf16>()[10].bits, 0xFFFF);
}

}  // namespace
}  // namespace runner
