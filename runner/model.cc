#include "runner/model.h"

#include <algorithm>

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

}  // namespace runner
