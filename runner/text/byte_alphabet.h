#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace runner {

// GPT-2's alphabet for bytes (openai/gpt-2, encoder.py, bytes_to_unicode): the printable
// characters of Latin-1 stand for themselves, the other 68 bytes, in order, for U+0100 and on.

// The character that stands for `byte`, as UTF-8.
std::string byte_symbol(std::uint8_t byte);

// The bytes that a token spells; nothing when a character is not in the alphabet.
std::optional<std::string> bytes_of_symbols(std::string_view symbols);

}  // namespace runner
