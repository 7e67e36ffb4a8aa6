#include "runner/cmm_info.h"

#include <gtest/gtest.h>

#include "tests/runner/random_model.h"

namespace runner {
namespace {

std::optional<CmmInfo> read_info(const std::string& text) {
  const TemporaryDirectory root;
  std::filesystem::create_directories(root / "proc/ax_proc");
  write_file(root / "proc/ax_proc/mem_cmm_info", text);
  return read_cmm_info(root.path());
}

TEST(CmmInfo, IsTheLastLine) {
  const auto info = read_info(
      "---CMM version\n\n"
      "+---PARTITION: Phys(0x80000000, 0x13FFFFFFF), Size=3145728KB(3072MB), NAME=\"anonymous\"\n"
      " nBlock(Max=1, Cur=1, New=1, Free=0)\n"
      "   |-Block: phys(0x80000000, 0x8006FFFF), cache =non-cacheable, length=448KB(0MB), "
      "name=\"npu\"\n\n"
      "---CMM_USE_INFO:\n"
      " total size=3145728KB(3072MB),used=448KB(0MB + 448KB),remain=3145280KB(3071MB + 576KB),"
      "partition_number=1,block_number=1,more=2\n");
  ASSERT_TRUE(info);
  EXPECT_EQ(info->total_kib, 3145728U);
  EXPECT_EQ(info->used_kib, 448U);
  EXPECT_EQ(info->remain_kib, 3145280U);
}

TEST(CmmInfo, IsNoneWhereThereIsNoDriverOrNoSense) {
  const TemporaryDirectory root;
  EXPECT_FALSE(read_cmm_info(root.path()));
  for (const char* text : {"", "nothing\n", " total size=KB(),used=1KB(),remain=2KB()\n",
                           " total size=3KB(0MB),used=1KB\n", " total size=3,used=1,remain=2\n"}) {
    EXPECT_FALSE(read_info(text)) << text;
  }
}

}  // namespace
}  // namespace runner
