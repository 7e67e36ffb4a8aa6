// Feeds any bytes to the way from post_config.json to a token: settings that are read, and make a
// sampler, choose a token that is there, and the best one when they ask for nothing else.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "runner/error.h"
#include "runner/mode_params.h"
#include "runner/sampler.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::array<float, 5> kScores = {-1, 3, 0.5F, 2, -70};
  constexpr std::array<runner::TokenId, 3> kGenerated = {3, 1, 3};
  try {
    const auto params = runner::parse_mode_params({reinterpret_cast<const char*>(data), size});
    const auto options = runner::sampler_options({}, params, {});
    runner::Sampler sampler(options, 1);
    const auto token = sampler.sample(runner::Logits(std::span(kScores)), kGenerated);
    if (token < 0 || static_cast<std::size_t>(token) >= kScores.size()) std::abort();
    const bool is_greedy = !options.enable_top_p && !options.enable_top_k;
    if (is_greedy && !options.enable_repetition_penalty && token != 1) std::abort();
  } catch (const runner::Error&) {
    // Said what is wrong.
  }
  return 0;
}
