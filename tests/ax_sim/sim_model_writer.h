#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

// Turns a HuggingFace directory of a Qwen2 model into a model directory for the simulator, the
// files of which are those of a StackFlow NPU model.
struct SimModelOptions {
  std::filesystem::path source;
  std::filesystem::path out_base;  // the model goes to out_base/name
  std::string name;                // letters, digits and ._-

  std::uint32_t prefill = 128;         // rows of a prefill group; 0 for no prefill group
  std::uint32_t context = 1023;        // history slots of decode
  std::vector<std::uint32_t> history;  // slots of each further prefill group, ascending
  std::uint32_t precompute = 0;        // 0: none, or with `history` its last
  std::uint32_t post_topk = 0;         // 0 for logits
  bool dynamic_load = false;
  bool placeholder = false;  // a lone prefill group lists one-slot caches
  bool shape_only = false;   // no weights, an embedding file of zeros: for AX_SIM_FREE=1
};

// Throws runner::Error for what is wrong with the source, std::runtime_error for the rest.
void write_sim_model(const SimModelOptions& options);
