#pragma once

#include <concepts>
#include <string>
#include <string_view>

// The log, as everything above runner/ writes it: one line per event, through spdlog's default
// logger. spdlog itself is included in log.cc only: header-only it costs each file that includes
// it many seconds of compiling, and a build on the module has one slow core to spare.
namespace protocol {

enum class LogLevel { kTrace, kDebug, kInfo, kWarn, kError };

// Sends the log to stderr, one line per event: with the time of day, or, where stderr is the
// journal, which notes that itself, with the priority. `level`: trace, debug, info, warn, error or
// off. Call once, before threads start. Throws std::invalid_argument for another level.
void set_up_log(const std::string& level);

// What stands in front of a line on stderr: "<3>" for an error and so on (sd-daemon(3)) where
// stderr is the journal (JOURNAL_STREAM, systemd.exec(5)), otherwise nothing.
std::string_view journal_prefix(LogLevel level);

bool log_enabled(LogLevel level);
void log_line(LogLevel level, const std::string& line);

namespace log_detail {
inline void append(std::string& out, std::string_view text) { out += text; }
template <std::integral Number>
void append(std::string& out, Number number) {
  out += std::to_string(number);
}
}  // namespace log_detail

// Logs the parts, text and integers, one behind the other.
template <typename... Parts>
void log(LogLevel level, const Parts&... parts) {
  if (!log_enabled(level)) return;
  std::string line;
  (log_detail::append(line, parts), ...);
  log_line(level, line);
}

template <typename... Parts>
void log_debug(const Parts&... parts) {
  log(LogLevel::kDebug, parts...);
}
template <typename... Parts>
void log_info(const Parts&... parts) {
  log(LogLevel::kInfo, parts...);
}
template <typename... Parts>
void log_warn(const Parts&... parts) {
  log(LogLevel::kWarn, parts...);
}
template <typename... Parts>
void log_error(const Parts&... parts) {
  log(LogLevel::kError, parts...);
}

}  // namespace protocol
