#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runner/error.h"
#include "tests/runner/engine_conformance.h"
#include "tests/runner/sim_npu.h"

// The faults that the engine must not have, put between it and the simulated NPU one at a time:
// each must be noticed, or the simulator and these tests would show nothing.

using runner::NpuSlice;

namespace {

constexpr std::size_t kPrefillGroup = 1;
constexpr std::size_t kGroupRows = 16;
constexpr std::size_t kPromptRows = 6;  // in use

enum class Fault {
  kNone,
  kNoZeroFill,          // rows of `input` past the prompt stay as the allocator left them
  kIndicesInUseOnly,    // `indices` past the prompt too
  kForgottenFlush,      // of one kind of block
  kForgottenInvalidate  // of one kind of block
};

struct Mutation {
  Fault fault = Fault::kNone;
  std::string tag{};   // of the blocks concerned
  bool armed = false;  // what is made before is made right
  int times = 0;       // it was done
};

// Where blocks are and what they are for.
class Blocks {
 public:
  void add(const NpuSlice& slice, const std::string& tag) { blocks_.emplace_back(slice, tag); }
  const std::string& tag_of(const NpuSlice& slice) const {
    static const std::string kUnknown;
    for (const auto& [block, tag] : blocks_) {
      if (slice.host >= block.host && slice.host < block.host + block.bytes) return tag;
    }
    return kUnknown;
  }

 private:
  std::vector<std::pair<NpuSlice, std::string>> blocks_;
};

class MutantGraph : public runner::NpuGraph {
 public:
  MutantGraph(std::shared_ptr<runner::NpuDevice> device, std::unique_ptr<NpuGraph> graph,
              std::shared_ptr<Mutation> mutation)
      : device_(std::move(device)), graph_(std::move(graph)), mutation_(std::move(mutation)) {}

  std::span<const runner::NpuGroup> groups() const override { return graph_->groups(); }

  void run(std::size_t group, std::span<const NpuSlice> inputs,
           std::span<const NpuSlice> outputs) override {
    const auto& tensors = groups()[group].inputs;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      const bool spoils =
          (mutation_->fault == Fault::kNoZeroFill && tensors[i].name == "input") ||
          (mutation_->fault == Fault::kIndicesInUseOnly && tensors[i].name == "indices");
      if (mutation_->armed && spoils && group == kPrefillGroup) spoil(inputs[i]);
    }
    graph_->run(group, inputs, outputs);
  }

 private:
  // What an allocation holds at first is all ones.
  void spoil(const NpuSlice& slice) {
    const std::size_t in_use = slice.bytes / kGroupRows * kPromptRows;
    std::memset(slice.host + in_use, 0xFF, slice.bytes - in_use);
    device_->to_npu(slice);
    ++mutation_->times;
  }

  std::shared_ptr<runner::NpuDevice> device_;
  std::unique_ptr<NpuGraph> graph_;
  std::shared_ptr<Mutation> mutation_;
};

class MutantDevice : public runner::NpuDevice {
 public:
  MutantDevice(std::shared_ptr<NpuDevice> device, std::shared_ptr<Mutation> mutation)
      : device_(std::move(device)), mutation_(std::move(mutation)) {}

  std::unique_ptr<runner::NpuMemory> allocate(std::size_t bytes, const char* tag) override {
    auto memory = device_->allocate(bytes, tag);
    blocks_.add(memory->slice(), tag);
    return memory;
  }
  void to_npu(const NpuSlice& slice) override {
    if (!is_forgotten(Fault::kForgottenFlush, slice)) device_->to_npu(slice);
  }
  void from_npu(const NpuSlice& slice) override {
    if (!is_forgotten(Fault::kForgottenInvalidate, slice)) device_->from_npu(slice);
  }
  std::unique_ptr<runner::NpuGraph> load(const runner::MappedFile& file) override {
    return std::make_unique<MutantGraph>(device_, device_->load(file), mutation_);
  }

 private:
  bool is_forgotten(Fault fault, const NpuSlice& slice) {
    if (!mutation_->armed || mutation_->fault != fault || blocks_.tag_of(slice) != mutation_->tag) {
      return false;
    }
    ++mutation_->times;
    return true;
  }

  std::shared_ptr<NpuDevice> device_;
  std::shared_ptr<Mutation> mutation_;
  Blocks blocks_;
};

// Two prompts and some decoding; all logits, one after the other.
std::vector<float> transcript(const SimModel& files, Mutation& result) {
  const auto mutation = std::make_shared<Mutation>(result);
  const auto model = files.load(std::make_shared<MutantDevice>(make_sim_device(), mutation),
                                {4096, std::nullopt, {}});
  const auto engine = runner::make_layered_engine(model);
  const auto cache = engine->new_cache();
  const int hidden = model->shape().hidden;
  std::vector<float> all;
  const auto keep = [&](const runner::Logits& logits) {
    const auto scores = scores_of(logits, model->shape().vocab);
    all.insert(all.end(), scores.begin(), scores.end());
  };
  mutation->armed = true;
  try {
    for (const unsigned seed : {1U, 2U}) {
      cache->truncate(0);
      keep(engine->prefill({some_rows(static_cast<int>(kPromptRows), hidden, seed), hidden}, *cache,
                           {}));
      for (int i = 0; i < 3; ++i) {
        keep(engine->decode({some_rows(1, hidden, seed + 10), hidden}, *cache));
      }
    }
  } catch (...) {
    result = *mutation;
    throw;
  }
  result = *mutation;
  return all;
}

struct MutationCase {
  std::string name;
  Mutation mutation;
};

class NpuMutations : public testing::TestWithParam<MutationCase> {
 protected:
  static SimModelOptions groups() {
    SimModelOptions options;
    options.prefill = kGroupRows;
    options.context = 60;
    return options;
  }
  SimModel files_{{.hidden = 32, .head_dim = 10}, groups()};
};

TEST_P(NpuMutations, IsNoticed) {
  Mutation none;
  const auto expected = transcript(files_, none);
  Mutation mutation = GetParam().mutation;
  std::vector<float> actual;
  try {
    actual = transcript(files_, mutation);
  } catch (const runner::Error&) {
    // The simulator refused.
  }
  EXPECT_GT(mutation.times, 0) << "the fault was never made";
  EXPECT_NE(actual, expected);
}

INSTANTIATE_TEST_SUITE_P(
    Npu, NpuMutations,
    testing::Values(
        MutationCase{"NoZeroFill", {Fault::kNoZeroFill, {}}},
        MutationCase{"IndicesInUseOnly", {Fault::kIndicesInUseOnly, {}}},
        MutationCase{"RowsNotFlushed", {Fault::kForgottenFlush, "llm_rows"}},
        MutationCase{"IndicesNotFlushed", {Fault::kForgottenFlush, "llm_indices"}},
        MutationCase{"MaskNotFlushed", {Fault::kForgottenFlush, "llm_mask"}},
        MutationCase{"CacheNotFlushed", {Fault::kForgottenFlush, "llm_kv"}},
        MutationCase{"RowsNotInvalidated", {Fault::kForgottenInvalidate, "llm_rows"}},
        MutationCase{"NewRowsNotInvalidated", {Fault::kForgottenInvalidate, "llm_new_kv"}},
        MutationCase{"LogitsNotInvalidated", {Fault::kForgottenInvalidate, "llm_logits"}}),
    [](const auto& test) { return test.param.name; });

}  // namespace
