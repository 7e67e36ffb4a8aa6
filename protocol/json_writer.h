#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// JSON text in the one style that readers without a JSON parser also understand; PROTOCOL.md
// ("How JSON is written") gives the rules and their reasons.
namespace protocol {

// Appends `text` as a JSON string with its quotes. REQUIRES: `text` is valid UTF-8.
void append_json_string(std::string& out, std::string_view text);
std::string json_string(std::string_view text);

// An array of such strings.
std::string json_array(const std::vector<std::string>& texts);

// The `data` of a stream frame: {"index":…,"finish":…,"delta":"…"}.
std::string stream_data(std::uint64_t index, bool finish, std::string_view delta);

}  // namespace protocol
