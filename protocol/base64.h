#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace protocol {

// Base64 (RFC 4648 §4: standard alphabet, padded).
std::string base64_encode(std::string_view bytes);

// nullopt unless `text` is exactly one padded base64 text: no white space, no other alphabet, no
// missing or surplus padding, unused bits zero.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace protocol
