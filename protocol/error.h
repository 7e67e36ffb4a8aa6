#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace protocol {

// The numbers of the `error.code` field. Their fixed texts are StackFlow's; PROTOCOL.md lists them.
enum class WireCode : int {
  kOk = 0,
  kFramingReset = -1,
  kJsonFormat = -2,
  kUnknownSysAction = -3,
  kNoSuchTask = -4,
  kModelLoading = -5,
  kUnitDoesNotExist = -6,
  kUnitCallFailed = -9,
  kNotAvailable = -10,
  kModelRun = -11,
  kUnknownUnitAction = -18,
  kLinkFailed = -20,
  kTaskFull = -21,
  kBase64 = -23,
  kStreamIndex = -25,
  kSoftPrefix = -26,
};

// The text that every message of this code starts with; "" for kOk.
std::string_view fixed_text(WireCode code);

// The `error` field of a reply.
struct WireError {
  WireCode code = WireCode::kOk;
  std::string message;  // fixed_text(code), then ": " and the detail if there is one
};

WireError make_error(WireCode code, std::string_view detail = {});

// Thrown by everything in protocol/ that fails beyond normal outcomes: sockets that cannot be
// bound, calls to `sys` that fail. The message names the address or call and the cause.
class Error : public std::runtime_error {
 public:
  Error(WireCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  WireCode code() const noexcept { return code_; }

 private:
  WireCode code_;
};

}  // namespace protocol
