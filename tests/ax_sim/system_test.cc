// Initialisation, memory, faults and leftovers: that libax_sys.so does what README.md says.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "tests/ax_sim/sim_runtime.h"
#include "tests/ax_sim/tiny_model.h"

namespace {

using ax_sim::code;

std::string content(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

TEST(AxSimSystem, LoadsInTheDocumentedOrderOnly) {
  EXPECT_FALSE(rt().interpreter_alone);
  EXPECT_NE(rt().interpreter_error.find("undefined symbol"), std::string::npos);
}

TEST(AxSimSystem, FreshMemoryIsNan) {
  const SimSession session;
  std::uint64_t phy = 0;
  void* vir = nullptr;
  for (const auto allocate : {rt().AX_SYS_MemAlloc, rt().AX_SYS_MemAllocCached}) {
    ASSERT_EQ(allocate(&phy, &vir, 100, 128, nullptr), 0);
    const std::string host(static_cast<const char*>(vir), 100);
    EXPECT_EQ(host, std::string(100, '\xFF'));
    EXPECT_EQ(rt().AX_SYS_MinvalidateCache(phy, vir, 100), 0);
    EXPECT_EQ(host, std::string(static_cast<const char*>(vir), 100));
    EXPECT_EQ(rt().AX_SYS_MemFree(phy, vir), 0);
  }
}

TEST(AxSimSystem, CachesMoveWholeLinesAndOnlyWhenAsked) {
  const SimSession session;
  const SimBlock block(256, true);
  auto* bytes = static_cast<unsigned char*>(block.vir);
  std::memset(bytes, 1, 256);
  ASSERT_EQ(rt().AX_SYS_MflushCache(block.phy + 70, bytes + 70, 1), 0);
  std::memset(bytes, 2, 256);
  ASSERT_EQ(rt().AX_SYS_MinvalidateCache(block.phy, bytes, 129), 0);
  const std::string expected =
      std::string(64, '\0') + std::string(64, 1) + std::string(64, '\0') + std::string(64, 2);
  EXPECT_EQ(std::string(reinterpret_cast<char*>(bytes), 256), expected);
  EXPECT_EQ(rt().counters().flush_calls, 2U);
  EXPECT_EQ(rt().counters().flush_bytes, 257U);
  EXPECT_EQ(rt().counters().invalidate_bytes, 129U);
}

TEST(AxSimSystem, MemoryMisuse) {
  const SimSession session;
  std::uint64_t phy = 0;
  void* vir = nullptr;
  ASSERT_EQ(rt().AX_SYS_MemAlloc(&phy, &vir, 4096, 128, nullptr), 0);
  ASSERT_EQ(rt().AX_SYS_MemFree(phy, vir), 0);
  const SimBlock block(4096, true);
  auto* const at = static_cast<char*>(block.vir);
  const struct {
    std::int32_t actual;
    std::int32_t expected;
  } cases[] = {
      {rt().AX_SYS_MemFree(phy, vir), code(0x800B0082)},
      {rt().AX_SYS_MemFree(block.phy, at + 1), code(0x800B0082)},
      {rt().AX_SYS_MemFree(12345, at), code(0x800B0082)},
      {rt().AX_SYS_MflushCache(block.phy, at + 64, 64), code(0x800B000C)},
      {rt().AX_SYS_MflushCache(block.phy + 64, at + 64, 4096), code(0x800B000C)},
      {rt().AX_SYS_MinvalidateCache(phy, vir, 64), code(0x800B000C)},
      {rt().AX_SYS_MemAlloc(&phy, &vir, 0, 128, nullptr), code(0x800B000A)},
      {rt().AX_SYS_MemAlloc(nullptr, &vir, 8, 128, nullptr), code(0x800B000B)},
  };
  for (const auto& c : cases) EXPECT_EQ(c.actual, c.expected) << &c - cases;
  EXPECT_EQ(rt().counters().violations, std::size(cases));
}

TEST(AxSimSystem, NothingWorksOutsideOfInit) {
  const SimEnvironment environment("AX_SIM_FAIL=AX_ENGINE_Init:1:80060087");
  std::uint64_t phy = 0;
  void* vir = nullptr;
  void* handle = nullptr;
  ax_sim::NpuAttr attr{};
  EXPECT_EQ(rt().AX_SYS_MemAlloc(&phy, &vir, 64, 128, nullptr), code(0x800B0012));
  EXPECT_EQ(rt().AX_ENGINE_Init(&attr), code(0x80060083));
  ASSERT_EQ(rt().AX_SYS_Init(), 0);
  EXPECT_EQ(rt().AX_ENGINE_GetVNPUAttr(&attr), code(0x80060083));  // peers ask so: no violation
  EXPECT_EQ(rt().AX_ENGINE_Init(&attr), code(0x80060087));         // AX_SIM_FAIL: none either
  EXPECT_EQ(rt().AX_ENGINE_CreateHandle(&handle, "x", 1), code(0x80060083));
  EXPECT_EQ(rt().AX_ENGINE_Deinit(), code(0x80060083));
  EXPECT_EQ(rt().AX_SYS_Deinit(), 0);
  EXPECT_EQ(rt().AX_SYS_Deinit(), code(0x800B0012));
  EXPECT_EQ(rt().counters().violations, 5U);
}

TEST(AxSimSystem, InitsCountAndModesClash) {
  const SimSession session;
  ax_sim::NpuAttr attr{};
  EXPECT_EQ(rt().AX_SYS_Init(), 0);
  EXPECT_EQ(rt().AX_ENGINE_Init(&attr), 0);
  attr.mode = 1;
  EXPECT_EQ(rt().AX_ENGINE_Init(&attr), code(0x80060087));
  EXPECT_EQ(rt().AX_ENGINE_Deinit(), 0);
  EXPECT_EQ(rt().AX_SYS_Deinit(), 0);
  { const SimBlock still_works(64, false); }
  EXPECT_EQ(rt().counters().violations, 0U);
}

TEST(AxSimSystem, FaultsHitTheCallsTheyName) {
  const SimSession session("AX_SIM_FAIL=AX_SYS_MemAlloc:2:800B0018,AX_SYS_MflushCache:2+:800B0012");
  std::uint64_t phy[3] = {};
  void* vir[3] = {};
  std::int32_t codes[6];
  for (int i = 0; i < 3; ++i) codes[i] = rt().AX_SYS_MemAlloc(&phy[i], &vir[i], 64, 64, nullptr);
  for (int i = 3; i < 6; ++i) codes[i] = rt().AX_SYS_MflushCache(phy[0], vir[0], 64);
  const std::int32_t expected[6] = {0, code(0x800B0018), 0, 0, code(0x800B0012), code(0x800B0012)};
  EXPECT_TRUE(std::equal(codes, codes + 6, expected));
  EXPECT_EQ(vir[1], nullptr);
  EXPECT_EQ(rt().counters().faults, 3U);
  EXPECT_EQ(rt().AX_SYS_MemFree(phy[0], vir[0]) | rt().AX_SYS_MemFree(phy[2], vir[2]), 0);
  EXPECT_EQ(rt().counters().violations, 0U);
}

TEST(AxSimSystem, CmmRunsOut) {
  const SimSession session("AX_SIM_CMM_MIB=1");
  std::uint64_t phy = 0;
  void* vir = nullptr;
  const SimBlock most(1020 << 10, true);
  EXPECT_EQ(rt().AX_SYS_MemAlloc(&phy, &vir, 8192, 128, nullptr), code(0x800B0018));
  ax_sim::CmmStatus status;
  EXPECT_EQ(rt().AX_SYS_MemQueryStatus(&status), 0);
  EXPECT_EQ(status.total_kib, 1024U);
  EXPECT_EQ(status.remaining_kib, 4U);
  const std::string bytes = content(tiny_model_file("tiny/qwen2_p8_l0_together.axmodel"));
  void* handle = nullptr;
  EXPECT_EQ(
      rt().AX_ENGINE_CreateHandle(&handle, bytes.data(), static_cast<std::uint32_t>(bytes.size())),
      code(0x800B0018));
  EXPECT_EQ(rt().counters().violations, 0U);
}

TEST(AxSimSystem, LeftoversAreNamedAtDeinit) {
  const SimEnvironment environment;
  ax_sim::NpuAttr attr{};
  ASSERT_EQ(rt().AX_SYS_Init() | rt().AX_ENGINE_Init(&attr), 0);
  std::uint64_t phy = 0;
  void* vir = nullptr;
  const signed char tag[] = {'k', 'v', 0};
  ASSERT_EQ(rt().AX_SYS_MemAlloc(&phy, &vir, 100, 128, tag), 0);
  {
    const SimHandle handle(tiny_model_file("tiny/qwen2_p8_l0_together.axmodel"));
    EXPECT_EQ(rt().AX_ENGINE_Deinit(), code(0x80060089));
    EXPECT_NE(std::string(rt().AX_SIM_LastViolation()).find("layer 0"), std::string::npos);
  }  // destroyed too late: one more
  EXPECT_EQ(rt().AX_SYS_Deinit(), code(0x800B0011));
  EXPECT_NE(std::string(rt().AX_SIM_LastViolation()).find("(tag kv, 100 bytes)"),
            std::string::npos);
  EXPECT_EQ(rt().counters().violations, 3U);
  EXPECT_EQ(rt().counters().live_blocks, 0U);
  EXPECT_EQ(rt().counters().live_handles, 0U);
  EXPECT_EQ(rt().counters().cmm_bytes, 0U);
}

TEST(AxSimSystem, ReportsAtDeinitAndAtExit) {
  const TemporaryDirectory directory;
  const std::string file = (directory / "report.json").string();
  EXPECT_EXIT(
      {
        const SimEnvironment environment("AX_SIM_REPORT=" + file);
        rt().AX_SYS_Init();
        std::exit(0);
      },
      testing::ExitedWithCode(0), "");
  EXPECT_NE(content(file).find("\"violations\":0,"), std::string::npos);
  EXPECT_NE(content(file).find("\"deinitialised\":false}"), std::string::npos);
  { const SimSession session("AX_SIM_REPORT=" + file); }
  EXPECT_NE(content(file).find("\"deinitialised\":true}"), std::string::npos);
}

}  // namespace
