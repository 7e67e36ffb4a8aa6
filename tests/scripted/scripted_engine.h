#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "runner/engine.h"
#include "tests/scripted/script.h"

namespace scripted {

// Calls of all engines of a model since the program began.
struct Counts {
  std::atomic<std::uint64_t> prefill_calls = 0;
  std::atomic<std::uint64_t> prefill_rows = 0;
  std::atomic<std::uint64_t> decode_calls = 0;

  std::string json() const {
    return "{\"prefill_calls\":" + std::to_string(prefill_calls) +
           ",\"prefill_rows\":" + std::to_string(prefill_rows) +
           ",\"decode_calls\":" + std::to_string(decode_calls) + "}";
  }
};

// Whether a token stands for one byte of text.
inline bool is_byte(TokenId id) { return id >= 0 && id < 256; }

// False if stopped before the time was over.
bool wait_for(milliseconds time, const std::stop_token& stop);

// Waits until `folder`/`file` exists; says so by making the file NAME.reached. False if stopped.
bool wait_at_gate(const std::filesystem::path& folder, const std::string& file,
                  const std::stop_token& stop);

// The embeddings [vocab, hidden] from which the engine reads the tokens back.
std::vector<runner::Bf16> embed_vocabulary(const Script& script);

// An engine that answers as the script says. It keeps to the contract: the cache holds a token id
// (or the values of a soft prefix row) for each row, and what comes next is a function of the
// cache alone.
std::unique_ptr<runner::Engine> make_scripted_engine(std::shared_ptr<const Script> script,
                                                     const runner::ModelShape& shape,
                                                     std::shared_ptr<Counts> counts);

}  // namespace scripted
