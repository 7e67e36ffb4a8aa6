// That the simulator does what README.md says.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <functional>
#include <thread>

#include "tests/ax_sim/sim_model_writer.h"
#include "tests/ax_sim/sim_runtime.h"
#include "tests/runner/random_model.h"

namespace {

using ax_sim::code;

// A random model of one layer: decode with 23 slots, a first chunk of 8 rows, one with 16 slots.
class AxSimTest : public testing::Test {
 protected:
  static constexpr std::uint32_t kHidden = 32;
  static constexpr std::uint32_t kKvWidth = 64;

  static std::string layer_file() { return model() + "qwen2_p8_l0_together.axmodel"; }
  static std::string post_file() { return model() + "qwen2_post.axmodel"; }

  // Written once.
  static std::string model() {
    static const TemporaryDirectory directory;
    static const bool written = [] {
      RandomModel shape;
      shape.layers = 1;
      shape.head_dim = 32;
      write_random_model(directory / "hf", shape);
      SimModelOptions options;
      options.source = directory / "hf";
      options.out_base = directory.path();
      options.name = "tiny";
      options.prefill = 8;
      options.context = 23;
      options.history = {16};
      write_sim_model(options);
      return true;
    }();
    return written ? (directory / "tiny/").string() : "";
  }

  // Row 0 of a decode run sees itself alone.
  static void fill_decode(SimRun& run) {
    for (int i = 0; i < 23; ++i) run.values<std::uint16_t>("mask")[i] = 0xC780;
    for (std::uint16_t i = 0; i < kHidden; ++i) {
      run.values<std::uint16_t>("input")[i] = static_cast<std::uint16_t>(0x3F00 + i);
    }
  }
};

TEST_F(AxSimTest, LoadsInTheDocumentedOrderOnly) {
  EXPECT_FALSE(rt().interpreter_alone);
  EXPECT_NE(rt().interpreter_error.find("undefined symbol"), std::string::npos);
}

TEST_F(AxSimTest, FreshMemoryIsNan) {
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

TEST_F(AxSimTest, CachesMoveWholeLinesAndOnlyWhenAsked) {
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

TEST_F(AxSimTest, MemoryMisuse) {
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

TEST_F(AxSimTest, NothingWorksOutsideOfInit) {
  const SimEnvironment environment({{"AX_SIM_FAIL", "AX_ENGINE_Init:1:80060087"}});
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

TEST_F(AxSimTest, InitsCountAndModesClash) {
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

TEST_F(AxSimTest, FaultsHitTheCallsTheyName) {
  const SimSession session(
      {{"AX_SIM_FAIL", "AX_SYS_MemAlloc:2:800B0018,AX_SYS_MflushCache:2+:800B0012"}});
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

TEST_F(AxSimTest, CmmRunsOut) {
  const SimSession session({{"AX_SIM_CMM_MIB", "1"}});
  std::uint64_t phy = 0;
  void* vir = nullptr;
  const SimBlock most(1020 << 10, true);
  EXPECT_EQ(rt().AX_SYS_MemAlloc(&phy, &vir, 8192, 128, nullptr), code(0x800B0018));
  ax_sim::CmmStatus status;
  EXPECT_EQ(rt().AX_SYS_MemQueryStatus(&status), 0);
  EXPECT_EQ(status.total_kib, 1024U);
  EXPECT_EQ(status.remaining_kib, 4U);
  const std::string bytes = [] {
    std::ifstream file(layer_file(), std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }();
  void* handle = nullptr;
  EXPECT_EQ(
      rt().AX_ENGINE_CreateHandle(&handle, bytes.data(), static_cast<std::uint32_t>(bytes.size())),
      code(0x800B0018));
  EXPECT_EQ(rt().counters().violations, 0U);
}

TEST_F(AxSimTest, LeftoversAreNamedAtDeinit) {
  const SimEnvironment environment({});
  ax_sim::NpuAttr attr{};
  ASSERT_EQ(rt().AX_SYS_Init() | rt().AX_ENGINE_Init(&attr), 0);
  std::uint64_t phy = 0;
  void* vir = nullptr;
  const signed char tag[] = {'k', 'v', 0};
  ASSERT_EQ(rt().AX_SYS_MemAlloc(&phy, &vir, 100, 128, tag), 0);
  {
    const SimHandle handle(layer_file());
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

TEST_F(AxSimTest, WhatIsNoModelIsRefused) {
  const SimSession session;
  void* handle = nullptr;
  std::string bytes(1000, 'x');
  EXPECT_EQ(rt().AX_ENGINE_CreateHandle(&handle, bytes.data(), 1000), -1);
  std::ifstream file(layer_file(), std::ios::binary);
  file.read(bytes.data(), 1000);
  EXPECT_EQ(rt().AX_ENGINE_CreateHandle(&handle, bytes.data(), 1000), -1);
  EXPECT_EQ(rt().counters().violations, 0U);
}

TEST_F(AxSimTest, OrdersOfTensorsDifferAndNamesAreShared) {
  const SimSession session;
  const SimHandle handle(layer_file());
  const ax_sim::IoDesc& decode = handle.group(0);
  const ax_sim::IoDesc& prefill = handle.group(2);
  ASSERT_EQ(decode.input_count, 5U);
  for (std::uint32_t i = 0; i < 5; ++i) {
    EXPECT_STRNE(decode.inputs[i].name, prefill.inputs[i].name);
    EXPECT_EQ(std::count_if(prefill.inputs, prefill.inputs + 5,
                            [&](const auto& t) { return t.name == decode.inputs[i].name; }),
              1);
  }
}

TEST_F(AxSimTest, WrongBuffersAndValuesFailTheRun) {
  const SimSession session;
  const SimHandle handle(layer_file());
  const SimBlock small(128, false);
  const struct {
    const char* mention;
    std::uint32_t expected;
    std::function<void(SimRun&)> spoil;
  } cases[] = {
      {"4 buffers, expected 5", 0x80060084, [](SimRun& r) { --r.io.input_count; }},
      {"reserved words", 0x80060084, [](SimRun& r) { r.io.reserved[3] = 1; }},
      {"input: strides or reserved", 0x80060084,
       [](SimRun& r) { r.buffer("input").reserved[0] = 1; }},
      {"input: buffer of 63 bytes, expected 64", 0x80060084,
       [](SimRun& r) { r.buffer("input").bytes = 63; }},
      {"input: physical address 0x0 is in no live block", 0x80060084,
       [](SimRun& r) { r.buffer("input").phy = 0; }},
      {"input: physical address", 0x80060084, [](SimRun& r) { r.buffer("input").phy += 2; }},
      {"differ", 0x80060084, [](SimRun& r) { r.buffer("input").vir = nullptr; }},
      {"of a block of 128", 0x80060084,
       [&](SimRun& r) {
         r.buffer("K_cache").phy = small.phy;
         r.buffer("K_cache").vir = small.vir;
       }},
      {"output: overlaps input", 0x80060084,
       [](SimRun& r) { r.buffer("output") = r.buffer("input"); }},
      {"V_cache_out: overlaps K_cache_out", 0x80060084,
       [](SimRun& r) { r.buffer("V_cache_out") = r.buffer("K_cache_out"); }},
      {"K_cache_out: overlaps K_cache", 0x80060084,
       [](SimRun& r) {
         r.values<std::uint16_t>("mask")[0] = 0;
         r.buffer("K_cache_out").phy = r.buffer("K_cache").phy;
         r.buffer("K_cache_out").vir = r.buffer("K_cache").vir;
       }},
      {"input: row 0, column 5 is 0x7F80", 0x8006008A,
       [](SimRun& r) { r.values<std::uint16_t>("input")[5] = 0x7F80; }},
      {"V_cache: row 22, column 1 is 0xFFFF", 0x8006008A,
       [](SimRun& r) { r.values<std::uint16_t>("V_cache")[22 * kKvWidth + 1] = 0xFFFF; }},
      {"mask: row 0, column 3 is 0x3F80", 0x8006008A,
       [](SimRun& r) { r.values<std::uint16_t>("mask")[3] = 0x3F80; }},
      {"indices: row 0 is 24, the position table ends at 24", 0x8006008A,
       [](SimRun& r) { *r.values<std::uint32_t>("indices") = 24; }},
  };
  for (const auto& c : cases) {
    SimRun run(handle, 0);
    fill_decode(run);
    ASSERT_EQ(run.run(), 0);
    rt().AX_SIM_ResetCounters();
    c.spoil(run);
    EXPECT_EQ(run.run(), code(c.expected)) << c.mention;
    EXPECT_NE(std::string(rt().AX_SIM_LastViolation()).find(c.mention), std::string::npos)
        << c.mention << "\n"
        << rt().AX_SIM_LastViolation();
    EXPECT_EQ(rt().counters().violations, 1U);
    EXPECT_EQ(rt().counters().decode_runs, 0U);
  }
}

TEST_F(AxSimTest, WrongHandlesGroupsAndContextsFailTheRun) {
  const SimSession session;
  const SimHandle post(post_file());
  SimRun run(post, 0);
  SimRun other_group(post, 0);
  void* gone = nullptr;
  {
    const SimHandle layer(layer_file());
    gone = layer.handle;
    EXPECT_EQ(rt().AX_ENGINE_RunGroupIOSync(layer.handle, post.context, 0, &run.io),
              code(0x80060081));
    EXPECT_EQ(rt().AX_ENGINE_RunGroupIOSync(layer.handle, layer.context, 3, &run.io),
              code(0x80060084));
  }
  EXPECT_EQ(rt().AX_ENGINE_RunSync(gone, &run.io), code(0x80060081));
  EXPECT_NE(std::string(rt().AX_SIM_LastViolation()).find("destroyed"), std::string::npos);
  EXPECT_EQ(rt().AX_ENGINE_RunSync(post.handle, &run.io), 0);
  EXPECT_EQ(rt().counters().violations, 3U);
}

TEST_F(AxSimTest, TwoThreadsInOneHandleAreNoticed) {
  const SimSession session({{"AX_SIM_RUN_MS", "300"}});
  const SimHandle post(post_file());
  SimRun one(post, 0);
  SimRun two(post, 0);
  std::int32_t codes[2] = {};
  std::thread thread([&] { codes[0] = one.run(); });
  codes[1] = two.run();
  thread.join();
  EXPECT_EQ(std::min(codes[0], codes[1]), code(0x80060089));
  EXPECT_EQ(std::max(codes[0], codes[1]), 0);
  EXPECT_EQ(rt().counters().violations, 1U);
}

TEST_F(AxSimTest, RowsMayGoToHiddenSlotsInPlace) {
  const SimSession session;
  const SimHandle handle(layer_file());
  SimRun apart(handle, 0);
  SimRun in_place(handle, 0);
  for (SimRun* run : {&apart, &in_place}) fill_decode(*run);
  for (const char* name : {"K_cache", "V_cache"}) {
    ax_sim::IoBuffer& out = in_place.buffer(std::string(name) + "_out");
    out.phy = in_place.buffer(name).phy + 4 * kKvWidth * 2;
    out.vir = in_place.values<char>(name) + 4 * kKvWidth * 2;
  }
  ASSERT_EQ(apart.run() | in_place.run(), 0);
  for (const char* name : {"K_cache_out", "V_cache_out", "output"}) {
    EXPECT_EQ(
        std::memcmp(apart.buffer(name).vir, in_place.buffer(name).vir, apart.buffer(name).bytes),
        0);
  }
}

}  // namespace
