#include "protocol/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
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

// Priorities as sd-daemon(3) writes them.
std::string_view priority(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::trace:
    case spdlog::level::debug:
      return "<7>";
    case spdlog::level::info:
      return "<6>";
    case spdlog::level::warn:
      return "<4>";
    default:
      return "<3>";
  }
}

// JOURNAL_STREAM is inherited by children whose stderr leads elsewhere: it names the file it means.
bool stderr_is_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat status {};
  if (stream == nullptr || ::fstat(STDERR_FILENO, &status) != 0) return false;
  return stream == std::to_string(status.st_dev) + ':' + std::to_string(status.st_ino);
}

// The flag %* of the pattern.
class Priority : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    const std::string_view text = priority(message.level);
    out.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<Priority>();
  }
};

}  // namespace

std::string_view journal_prefix(LogLevel level) {
  return stderr_is_journal() ? priority(to_spdlog(level)) : "";
}

void set_up_log(const std::string& level) {
  const auto parsed = spdlog::level::from_str(level);
  // from_str answers `off` for words it does not know.
  if (parsed == spdlog::level::off && level != "off") {
    throw std::invalid_argument("log level \"" + level +
                                "\" is not one of trace, debug, info, warn, error, off");
  }
  auto logger = spdlog::stderr_color_mt("llm_llm");
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<Priority>('*');
  formatter->set_pattern(stderr_is_journal() ? "%*%l %v" : "%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
  logger->set_formatter(std::move(formatter));
  logger->set_level(parsed);
  spdlog::set_default_logger(std::move(logger));
}

bool log_enabled(LogLevel level) { return spdlog::should_log(to_spdlog(level)); }

void log_line(LogLevel level, const std::string& line) {
  spdlog::log(to_spdlog(level), spdlog::string_view_t(line));
}

}  // namespace protocol
