#include "protocol/error.h"

namespace protocol {

std::string_view fixed_text(WireCode code) {
  switch (code) {
    case WireCode::kOk:
      return "";
    case WireCode::kFramingReset:
      return "reace reset";  // the spelling that clients log and match
    case WireCode::kJsonFormat:
      return "json format error";
    case WireCode::kUnknownSysAction:
      return "action match false";
    case WireCode::kNoSuchTask:
      return "inference data push false";
    case WireCode::kModelLoading:
      return "Model loading failed.";
    case WireCode::kUnitDoesNotExist:
      return "Unit Does Not Exist";
    case WireCode::kUnitCallFailed:
      return "unit call false";
    case WireCode::kNotAvailable:
      return "Not available at the moment.";
    case WireCode::kModelRun:
      return "Model run failed.";
    case WireCode::kUnknownUnitAction:
      return "not have unit action!";
    case WireCode::kLinkFailed:
      return "link false";
    case WireCode::kTaskFull:
      return "task full";
    case WireCode::kBase64:
      return "Base64 decoding error.";
    case WireCode::kStreamIndex:
      return "Stream data index error.";
    case WireCode::kSoftPrefix:
      return "Soft prefix error.";
  }
  return "";
}

WireError make_error(WireCode code, std::string_view detail) {
  WireError error{code, std::string(fixed_text(code))};
  if (!detail.empty()) {
    error.message += ": ";
    error.message += detail;
  }
  return error;
}

}  // namespace protocol
