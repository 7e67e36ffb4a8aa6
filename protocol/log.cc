#include "protocol/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <stdexcept>
#include <utility>

namespace protocol {
namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace:
      return spdlog::level::trace;
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

}  // namespace

void set_up_log(const std::string& level) {
  const auto parsed = spdlog::level::from_str(level);
  // from_str answers `off` for words it does not know.
  if (parsed == spdlog::level::off && level != "off") {
    throw std::invalid_argument("log level \"" + level +
                                "\" is not one of trace, debug, info, warn, error, off");
  }
  auto logger = spdlog::stderr_color_mt("llm_llm");
  logger->set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
  logger->set_level(parsed);
  spdlog::set_default_logger(std::move(logger));
}

bool log_enabled(LogLevel level) { return spdlog::should_log(to_spdlog(level)); }

void log_line(LogLevel level, const std::string& line) {
  spdlog::log(to_spdlog(level), spdlog::string_view_t(line));
}

}  // namespace protocol
