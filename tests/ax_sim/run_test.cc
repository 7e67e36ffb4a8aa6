// Handles, descriptions, and what a run refuses: that libax_engine.so does what README.md says.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <functional>
#include <thread>

#include "runner/bf16.h"
#include "tests/ax_sim/sim_runtime.h"
#include "tests/ax_sim/tiny_model.h"

namespace {

using ax_sim::code;

constexpr std::size_t kHidden = 32;
constexpr std::size_t kRunKvWidth = 64;

std::string layer_file() { return tiny_model_file("tiny/qwen2_p8_l0_together.axmodel"); }
std::string post_file() { return tiny_model_file("tiny/qwen2_post.axmodel"); }

void fill_input(SimRun& run) {
  for (std::uint16_t i = 0; i < kHidden; ++i) {
    run.values<std::uint16_t>("input")[i] = static_cast<std::uint16_t>(0x3F00 + i);
  }
}

// Of a decode run whose row sees itself alone.
void fill_decode(SimRun& run) {
  fill_input(run);
  std::fill_n(run.values<std::uint16_t>("mask"), 23, std::uint16_t{0xC780});
}

TEST(AxSimRun, WhatIsNoModelIsRefused) {
  const SimSession session;
  void* handle = nullptr;
  std::string bytes(1000, 'x');
  EXPECT_EQ(rt().AX_ENGINE_CreateHandle(&handle, bytes.data(), 1000), -1);
  std::ifstream file(layer_file(), std::ios::binary);
  file.read(bytes.data(), 1000);
  EXPECT_EQ(rt().AX_ENGINE_CreateHandle(&handle, bytes.data(), 1000), -1);
  std::ifstream(tiny_model_file("tiny_shape/qwen2_post.axmodel")).read(bytes.data(), 88);
  EXPECT_EQ(rt().AX_ENGINE_CreateHandle(&handle, bytes.data(), 88), -1);
  EXPECT_EQ(rt().counters().violations, 0U);
}

TEST(AxSimRun, OrdersOfTensorsDifferAndNamesAreShared) {
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

TEST(AxSimRun, WrongBuffersAndValuesFailTheRun) {
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
       [](SimRun& r) { r.values<std::uint16_t>("V_cache")[22 * kRunKvWidth + 1] = 0xFFFF; }},
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

TEST(AxSimRun, WrongHandlesGroupsAndContextsFailTheRun) {
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

TEST(AxSimRun, TwoThreadsInOneHandleAreNoticed) {
  const SimSession session("AX_SIM_RUN_MS=300");
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

TEST(AxSimRun, RowsMayGoToHiddenSlotsInPlace) {
  const SimSession session;
  const SimHandle handle(layer_file());
  SimRun apart(handle, 0);
  SimRun in_place(handle, 0);
  for (SimRun* run : {&apart, &in_place}) fill_decode(*run);
  for (const char* name : {"K_cache", "V_cache"}) {
    ax_sim::IoBuffer& out = in_place.buffer(std::string(name) + "_out");
    out.phy = in_place.buffer(name).phy + 4 * kRunKvWidth * 2;
    out.vir = in_place.values<char>(name) + 4 * kRunKvWidth * 2;
  }
  ASSERT_EQ(apart.run() | in_place.run(), 0);
  for (const char* name : {"K_cache_out", "V_cache_out", "output"}) {
    EXPECT_EQ(
        std::memcmp(apart.buffer(name).vir, in_place.buffer(name).vir, apart.buffer(name).bytes),
        0);
  }
}

TEST(AxSimRun, TopKIsTheBestOfTheLogits) {
  const SimSession session;
  const SimHandle post(post_file());
  const SimHandle best(tiny_model_file("tiny_topk/qwen2_post.axmodel"));
  SimRun all(post, 0);
  SimRun some(best, 0);
  for (SimRun* run : {&all, &some}) fill_input(*run);
  ASSERT_EQ(all.run() | some.run(), 0);
  const auto* bits = all.values<std::uint16_t>("output");
  std::vector<float> logits;
  for (int i = 0; i < 50; ++i) logits.push_back(runner::to_float(runner::Bf16{bits[i]}));
  for (int i = 0; i < 4; ++i) {
    const auto at = std::max_element(logits.begin(), logits.end());
    EXPECT_EQ(some.values<std::int32_t>("indices")[i], at - logits.begin());
    *at = -1000;
  }
}

TEST(AxSimRun, NothingIsComputedForFree) {
  const SimSession session("AX_SIM_FREE=1");
  const SimHandle layer(tiny_model_file("tiny_shape/qwen2_p8_l0_together.axmodel"));
  const SimHandle post(tiny_model_file("tiny_shape/qwen2_post.axmodel"));
  SimRun prefill(layer, 1);
  SimRun logits(post, 0);
  ASSERT_EQ(prefill.run() | logits.run(), 0);
  const auto* values = logits.values<std::uint16_t>("output");
  const std::vector<std::uint16_t> first(values, values + 50);
  ASSERT_EQ(logits.run(), 0);
  int changes = 0;
  for (std::size_t i = 0; i < 50; ++i) changes += values[i] != first[i] ? 1 : 0;
  EXPECT_GE(changes, 1);
  EXPECT_LE(changes, 10);
  EXPECT_TRUE(std::all_of(values, values + 50, [](auto v) { return (v & 0x7F80) != 0x7F80; }));
  EXPECT_EQ(prefill.values<std::uint16_t>("output")[0], 0);  // as it was
  EXPECT_EQ(rt().counters().violations, 0U);
}

}  // namespace
