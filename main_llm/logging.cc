#include "main_llm/logging.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <stdexcept>

namespace main_llm {

void set_up_logging(const std::string& level) {
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

}  // namespace main_llm
