#pragma once

#include <stdexcept>
#include <string>

namespace runner {

// What kind of thing went wrong. main_llm/error_map.cc turns it into a wire code.
enum class ErrorCode {
  kNotFound,       // a model, file or tensor that was asked for is not there
  kBadModel,       // a model file is there but broken, incompatible or incomplete
  kBadOption,      // a setting has a wrong type or value, or this engine cannot serve it
  kOutOfMemory,    // the model or its cache does not fit
  kNotBuilt,       // the engine asked for was left out of this program
  kPromptTooLong,  // prompt rows (or prompt rows behind a soft prefix) exceed the context
  kBadSoftPrefix,  // soft prefix of a wrong size or with values that are not finite
  kEngineFailed,   // the engine broke while running; the message names its function and code
};

// Thrown by everything in runner/. The message says what was attempted, with which value, and
// what would help: file, tensor, index, expected and actual.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace runner
