#include "main_llm/error_map.h"

#include <new>
#include <utility>

namespace main_llm {
namespace {

protocol::WireCode to_wire_code(runner::ErrorCode code, protocol::WireCode otherwise) {
  switch (code) {
    case runner::ErrorCode::kBadSoftPrefix:
      return protocol::WireCode::kSoftPrefix;
    case runner::ErrorCode::kNotFound:
    case runner::ErrorCode::kBadModel:
    case runner::ErrorCode::kBadOption:
    case runner::ErrorCode::kOutOfMemory:
    case runner::ErrorCode::kNotBuilt:
    case runner::ErrorCode::kPromptTooLong:
    case runner::ErrorCode::kEngineFailed:
      return otherwise;
  }
  return otherwise;
}

}  // namespace

protocol::WireError to_wire_error(std::exception_ptr failure, protocol::WireCode otherwise) {
  try {
    std::rethrow_exception(std::move(failure));
  } catch (const runner::Error& error) {
    return protocol::make_error(to_wire_code(error.code(), otherwise), error.what());
  } catch (const protocol::Error& error) {
    return protocol::make_error(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    return protocol::make_error(otherwise, "out of memory");
  } catch (const std::exception& error) {
    return protocol::make_error(otherwise, error.what());
  }
}

}  // namespace main_llm
