#include "runner/model.h"

#include <algorithm>
#include <utility>

namespace runner {

SamplerOptions task_sampler(const Model& model, const ModeParams& setup) {
  SamplerOptions options = sampler_options(model.generation_config, model.mode_param, setup);
  check_sampler_options(options);
  if (model.list_tokens > 0) {
    const bool is_default =
        !merge(merge(model.generation_config, model.mode_param), setup).top_k.has_value();
    if (is_default) options.top_k = std::min(options.top_k, model.list_tokens);
    check_options_for_list(options, model.list_tokens);
  }
  return options;
}

PromptOptions prompt_options(const ModeParams& mode_param, const ModeParams& setup,
                             std::string system) {
  ModeParams params = merge(mode_param, setup);
  return {std::move(system), params.enable_thinking, std::move(params.chat_template_family),
          params.b_bos.value_or(false)};
}

}  // namespace runner
