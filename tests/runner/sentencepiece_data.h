#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Small SentencePiece models for tests.
namespace sentencepiece_data {

inline std::string little_endian(std::uint32_t value) {
  std::string bytes;
  for (unsigned shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(value >> shift);
  return bytes;
}

// A message in protobuf's wire format, field by field.
class Message {
 public:
  Message& number(unsigned field, std::uint64_t value) {
    add_varint(field << 3U);
    return add_varint(value);
  }
  Message& float32(unsigned field, float value) {
    add_varint(field << 3U | 5U);
    bytes_ += little_endian(std::bit_cast<std::uint32_t>(value));
    return *this;
  }
  Message& text(unsigned field, std::string_view value) {
    add_varint(field << 3U | 2U);
    add_varint(value.size());
    bytes_ += value;
    return *this;
  }
  Message& message(unsigned field, const Message& value) { return text(field, value.bytes_); }

  const std::string& bytes() const { return bytes_; }

 private:
  Message& add_varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7U) bytes_ += static_cast<char>(value | 0x80U);
    bytes_ += static_cast<char>(value);
    return *this;
  }

  std::string bytes_;
};

// A precompiled_charsmap. Its double array is a roomy one: a node's children stand in a block of
// their own.
inline std::string chars_map(const std::map<std::string, std::string>& rules) {
  constexpr std::uint32_t kBlock = 256;
  constexpr std::uint32_t kNoUnit = 1U << 31U;  // equals no byte
  std::vector<std::uint32_t> units(2 * kBlock, kNoUnit);
  std::map<std::string, std::uint32_t> blocks = {{"", kBlock}};  // of the children of a key's start
  units[0] = kBlock << 10U;
  std::string replacements;
  for (const auto& [key, replacement] : rules) {
    std::uint32_t node = 0;
    for (std::size_t length = 1; length <= key.size(); ++length) {
      const auto byte = static_cast<unsigned char>(key[length - 1]);
      node = blocks.at(key.substr(0, length - 1)) + byte;
      const auto [block, is_new] =
          blocks.emplace(key.substr(0, length), static_cast<std::uint32_t>(units.size()));
      if (!is_new) continue;
      units.resize(units.size() + kBlock, kNoUnit);
      units[node] = (node ^ block->second) << 10U | byte;
    }
    units[node] |= 1U << 8U;
    units[blocks.at(key)] = static_cast<std::uint32_t>(replacements.size()) | 1U << 31U;
    (replacements += replacement) += '\0';
  }
  std::string bytes = little_endian(static_cast<std::uint32_t>(units.size() * 4));
  for (const std::uint32_t unit : units) bytes += little_endian(unit);
  return bytes + replacements;
}

// Types of pieces.
constexpr unsigned kNormal = 1;
constexpr unsigned kUnknown = 2;
constexpr unsigned kControl = 3;
constexpr unsigned kUserDefined = 4;
constexpr unsigned kUnused = 5;
constexpr unsigned kByte = 6;

inline Message piece(std::string_view text, float score, unsigned type) {
  return Message().text(1, text).float32(2, score).number(3, type);
}

// A BPE model; `settings` is put behind it.
inline std::string model(const std::vector<Message>& pieces, const Message& settings = {}) {
  Message file;
  for (const Message& one : pieces) file.message(1, one);
  return file.message(2, Message().number(3, 2)).bytes() + settings.bytes();
}

}  // namespace sentencepiece_data
