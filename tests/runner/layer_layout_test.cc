#include "runner/npu/layer_layout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "runner/error.h"
#include "tests/runner/fake_device.h"

namespace runner {
namespace {

using fakes::FakeGraph;
constexpr std::size_t kHiddenSize = 8;
constexpr std::size_t kKvWidth = 4;

// A group of `rows` rows with a mask of `columns`, and `slots` K/V rows bound (0: not at all).
NpuGroup layer_group(std::size_t rows, std::size_t columns, std::size_t slots) {
  NpuGroup group;
  group.inputs = {{"mask", rows * columns * 2}, {"indices", rows * 4}, {"input", rows * 16}};
  if (slots > 0) {
    group.inputs.insert(group.inputs.begin() + 1, {"V_cache", slots * kKvWidth * 2});
    group.inputs.push_back({"K_cache", slots * kKvWidth * 2});
  }
  group.outputs = {{"output", rows * kHiddenSize * 2},
                   {"V_cache_out", rows * kKvWidth * 2},
                   {"K_cache_out", rows * kKvWidth * 2}};
  return group;
}

std::vector<NpuGroup> context_groups() {
  return {layer_group(1, 21, 20), layer_group(4, 4, 1), layer_group(4, 12, 8)};
}

NpuTensor& tensor(std::vector<NpuGroup>& groups, std::size_t group, const std::string& name) {
  for (auto* tensors : {&groups[group].inputs, &groups[group].outputs}) {
    for (NpuTensor& each : *tensors) {
      if (each.name == name) return each;
    }
  }
  throw std::out_of_range(name);
}

TEST(LayerLayout, IsReadFromSizesWhateverTheOrder) {
  auto groups = context_groups();
  std::reverse(groups[1].inputs.begin(), groups[1].inputs.end());
  const FakeGraph graph(groups);
  const LayerLayout layout = read_layer_layout(graph, "l0.axmodel");
  EXPECT_EQ(layout.hidden, 8);
  EXPECT_EQ(layout.kv_width, 4);
  EXPECT_EQ(layout.groups, (std::vector<LayerGroup>{{{1, 20}, 20}, {{4, 0}, 1}, {{4, 8}, 8}}));
  const auto bindings = read_layer_bindings(graph);
  EXPECT_EQ(bindings[0].inputs,
            (std::vector{LayerTensor::kMask, LayerTensor::kValues, LayerTensor::kIndices,
                         LayerTensor::kInput, LayerTensor::kKeys}));
  EXPECT_EQ(bindings[1].inputs.front(), LayerTensor::kKeys);
  EXPECT_EQ(bindings[2].outputs,
            (std::vector{LayerTensor::kOutput, LayerTensor::kNewValues, LayerTensor::kNewKeys}));
}

TEST(LayerLayout, PrefillWithoutHistoryNeedsNoCacheInputs) {
  const FakeGraph graph({layer_group(1, 21, 20), layer_group(4, 4, 0)});
  EXPECT_EQ(read_layer_layout(graph, "x").groups[1], (LayerGroup{{4, 0}, 0}));
}

struct BrokenLayout {
  const char* what;
  std::function<void(std::vector<NpuGroup>&)> change;
  std::vector<std::string> mentions;
};

TEST(LayerLayout, WhatDoesNotFitIsNamed) {
  const std::vector<BrokenLayout> cases{
      {"no mask",
       [](auto& groups) { tensor(groups, 0, "mask").name = "musk"; },
       {"musk", "group 0"}},
      {"output missing",
       [](auto& groups) { groups[2].outputs.erase(groups[2].outputs.begin()); },
       {"output", "group 2"}},
      {"odd input",
       [](auto& groups) { tensor(groups, 1, "input").bytes = 65; },
       {"input", "65", "multiple of 8", "group 1"}},
      {"other hidden size",
       [](auto& groups) { tensor(groups, 1, "input").bytes = 4 * 2 * 9; },
       {"input", "9", "8"}},
      {"other width",
       [](auto& groups) { tensor(groups, 1, "V_cache_out").bytes = 4 * 2 * 5; },
       {"V_cache_out", "5", "4"}},
      {"narrow mask",
       [](auto& groups) { tensor(groups, 1, "mask").bytes = 4 * 2 * 3; },
       {"mask", "3 columns"}},
      {"short cache",
       [](auto& groups) {
         tensor(groups, 0, "K_cache").bytes -= 8;
         tensor(groups, 0, "V_cache").bytes -= 8;
       },
       {"mask has 20", "K_cache 19"}},
      {"unlike caches",
       [](auto& groups) { tensor(groups, 0, "V_cache").bytes -= 8; },
       {"K_cache and V_cache"}},
      {"nothing decodes", [](auto& groups) { groups.erase(groups.begin()); }, {"decodes"}},
  };
  for (const BrokenLayout& broken : cases) {
    SCOPED_TRACE(broken.what);
    auto groups = context_groups();
    broken.change(groups);
    try {
      read_layer_layout(FakeGraph(groups), "l0.axmodel");
      ADD_FAILURE() << "was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadModel);
      const std::string text = error.what();
      EXPECT_NE(text.find("l0.axmodel"), std::string::npos) << text;
      for (const std::string& word : broken.mentions) {
        EXPECT_NE(text.find(word), std::string::npos) << text << " does not mention " << word;
      }
    }
  }
}

TEST(PostLayout, LogitsOrAList) {
  const NpuTensor input{"input", 16};
  const PostLayout logits =
      read_post_layout(FakeGraph({{{input}, {{"norm", 16}, {"output", 100}}}}), "post");
  EXPECT_EQ(logits.vocab, 50);
  EXPECT_EQ(logits.result, 1U);
  EXPECT_EQ(logits.list_tokens, 0);
  const PostLayout list =
      read_post_layout(FakeGraph({{{input}, {{"probs", 20}, {"indices", 40}}}}), "post");
  EXPECT_EQ(list.list_tokens, 10);
  EXPECT_EQ(list.result, 1U);
  EXPECT_EQ(list.probabilities, 0U);
  EXPECT_THROW(read_post_layout(FakeGraph({{{input}, {{"else", 20}}}}), "post"), Error);
  EXPECT_THROW(read_post_layout(FakeGraph({{{input}, {{"indices", 40}}}}), "post"), Error);
}

}  // namespace
}  // namespace runner
