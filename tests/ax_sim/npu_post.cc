// The post model: norm, vocabulary projection, and what stands for it under AX_SIM_FREE.

#include <algorithm>
#include <cstring>
#include <numeric>

#include "tests/ax_sim/npu_model.h"

namespace ax_sim {
namespace {

// A number from 0 to 65535 for each (seed, index).
std::uint32_t scatter(std::uint64_t seed, std::uint64_t index) {
  std::uint64_t x = (seed + 1) * 0x9E3779B97F4A7C15U + index * 0xD1B54A32D192ED03U;
  x ^= x >> 29;
  x *= 0xBF58476D1CE4E5B9U;
  x ^= x >> 32;
  return static_cast<std::uint32_t>(x & 0xFFFFU);
}

// Close to normal, deviation 3: the sum of twelve numbers from 0 to 1 has deviation 1.
std::uint16_t free_logit(std::size_t index) {
  float sum = -6.0F;
  for (std::uint64_t i = 0; i < 12; ++i) sum += static_cast<float>(scatter(i, index)) / 65536.0F;
  return narrow(3.0F * sum);
}

void put(std::byte* tensor, std::size_t index, std::uint16_t bits) {
  std::memcpy(tensor + index * sizeof bits, &bits, sizeof bits);
}

FreeLogits& fill_once(NpuModel& model, const NpuBinding& output) {
  for (FreeLogits& known : model.free_logits) {
    if (known.phy == output.phy) return known;
  }
  for (std::size_t i = 0; i < model.header.vocab; ++i) put(output.data, i, free_logit(i));
  model.free_logits.push_back({output.phy, {}});
  return model.free_logits.back();
}

void write_best(const std::vector<float>& logits, std::size_t top_k, std::byte* indices,
                std::byte* scores) {
  std::vector<std::int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(top_k), order.end(),
                    [&](std::int32_t a, std::int32_t b) {
                      const float left = logits[static_cast<std::size_t>(a)];
                      const float right = logits[static_cast<std::size_t>(b)];
                      return left != right ? left > right : a < b;
                    });
  const float highest = logits[static_cast<std::size_t>(order[0])];
  float total = 0;
  for (const float logit : logits) total += exponential(logit - highest);
  for (std::size_t i = 0; i < top_k; ++i) {
    const float logit = logits[static_cast<std::size_t>(order[i])];
    std::memcpy(indices + i * sizeof order[i], &order[i], sizeof order[i]);
    put(scores, i, narrow(exponential(logit - highest) / total));
  }
}

}  // namespace

void run_post(NpuModel& model, const std::byte* input, std::byte* output, std::byte* indices,
              std::byte* scores) {
  const ModelHeader& m = model.header;
  std::vector<float> row(m.hidden);
  for (std::size_t i = 0; i < row.size(); ++i) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, input + i * sizeof bits, sizeof bits);
    row[i] = widen(bits);
  }
  std::vector<float> normed(m.hidden);
  rms_norm(row.data(), model.post.norm, m.norm_epsilon, normed.data());
  std::vector<float> logits(m.vocab);
  model.post.head.multiply(normed.data(), 1, logits.data());
  if (output == nullptr) {
    // As the compiler's top-k does, over logits of bf16.
    for (float& logit : logits) logit = widen(narrow(logit));
    write_best(logits, m.top_k, indices, scores);
    return;
  }
  for (std::size_t i = 0; i < logits.size(); ++i) put(output, i, narrow(logits[i]));
}

void run_free_post(NpuModel& model, const NpuGroup& group, const NpuBinding* outputs) {
  constexpr std::uint32_t kChanges = 5;
  const std::uint32_t vocab = model.header.vocab;
  const std::uint64_t run = model.runs;
  const auto place = [&](std::uint32_t i) {
    return static_cast<std::uint32_t>(std::uint64_t{scatter(run, i)} * vocab / 65536U);
  };
  if (model.header.top_k > 0) {
    std::byte* indices = find_tensor(group.outputs, group.output_count, outputs, kIndices);
    std::byte* scores = find_tensor(group.outputs, group.output_count, outputs, kScores);
    for (std::uint32_t i = 0; i < model.header.top_k; ++i) {
      const std::uint32_t index = (place(0) + i) % vocab;
      std::memcpy(indices + i * sizeof index, &index, sizeof index);
      put(scores, i, narrow(0.5F / static_cast<float>(i + 1)));
    }
    return;
  }
  FreeLogits& known = fill_once(model, outputs[0]);
  for (std::size_t i = 0; i < known.changed.size(); ++i) {
    put(outputs[0].data, known.changed[i], free_logit(known.changed[i]));
  }
  known.changed.clear();
  for (std::uint32_t i = 0; i < kChanges; ++i) {
    // Above what the others reach, so that the choice of a token varies.
    known.changed.push_back(place(i));
    put(outputs[0].data, place(i), narrow(18.0F - static_cast<float>(i)));
  }
}

}  // namespace ax_sim
