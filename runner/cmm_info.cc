#include "runner/cmm_info.h"

#include <charconv>
#include <fstream>
#include <string>
#include <string_view>

namespace runner {
namespace {

std::optional<std::uint64_t> kib_behind(std::string_view text, std::string_view label) {
  const std::size_t place = text.find(label);
  if (place == std::string_view::npos) return std::nullopt;
  text.remove_prefix(place + label.size());
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} ||
      !text.substr(static_cast<std::size_t>(end - text.data())).starts_with("KB")) {
    return std::nullopt;
  }
  return number;
}

}  // namespace

std::optional<CmmInfo> read_cmm_info(const std::filesystem::path& root) {
  std::ifstream file(root / "proc/ax_proc/mem_cmm_info");
  std::string line;
  std::string summary;
  while (std::getline(file, line)) {
    if (line.find("total size=") != std::string::npos) summary = line;
  }
  const auto total = kib_behind(summary, "total size=");
  const auto used = kib_behind(summary, "used=");
  const auto remain = kib_behind(summary, "remain=");
  if (!total || !used || !remain) return std::nullopt;
  return CmmInfo{*total, *used, *remain};
}

}  // namespace runner
