#include "runner/cpu/cpu_kv_cache.h"

#include <string>

namespace runner {

CpuKvCache::CpuKvCache(const ModelConfig& config, int capacity)
    : capacity_(capacity),
      kv_heads_(static_cast<std::size_t>(config.kv_heads)),
      head_values_(static_cast<std::size_t>(capacity) * static_cast<std::size_t>(config.head_dim)),
      memory_(static_cast<std::size_t>(config.layers) * 2 * kv_heads_ * head_values_ * sizeof(Bf16),
              "the K/V cache of " + std::to_string(capacity) + " rows") {}

}  // namespace runner
