#include "runner/text/byte_alphabet.h"

namespace runner {
namespace {

constexpr unsigned kFirstStandIn = 0x100;

constexpr bool stands_for_itself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

// The bytes that U+0100 and on stand for.
constexpr auto kStoodFor = [] {
  std::array<std::uint8_t, 68> bytes{};
  std::size_t count = 0;
  for (unsigned byte = 0; byte < 0x100; ++byte) {
    if (!stands_for_itself(byte)) bytes[count++] = static_cast<std::uint8_t>(byte);
  }
  return bytes;
}();

}  // namespace

std::string byte_symbol(std::uint8_t byte) {
  unsigned point = byte;
  if (!stands_for_itself(byte)) {
    unsigned index = 0;
    while (kStoodFor[index] != byte) ++index;
    point = kFirstStandIn + index;
  }
  if (point < 0x80) return {static_cast<char>(point)};
  return {static_cast<char>(0xC0U | (point >> 6U)), static_cast<char>(0x80U | (point & 0x3FU))};
}

std::optional<std::string> bytes_of_symbols(std::string_view symbols) {
  std::string bytes;
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    unsigned point = static_cast<unsigned char>(symbols[i]);
    if (point >= 0x80) {
      if ((point & 0xE0U) != 0xC0U || ++i == symbols.size()) return std::nullopt;
      point = ((point & 0x1FU) << 6U) | (static_cast<unsigned char>(symbols[i]) & 0x3FU);
    }
    if (point < kFirstStandIn && stands_for_itself(point)) {
      bytes += static_cast<char>(point);
    } else if (point >= kFirstStandIn && point < kFirstStandIn + kStoodFor.size()) {
      bytes += static_cast<char>(kStoodFor[point - kFirstStandIn]);
    } else {
      return std::nullopt;
    }
  }
  return bytes;
}

}  // namespace runner
