#include "runner/text/protobuf_reader.h"

#include <bit>
#include <string>

#include "runner/error.h"

namespace runner {

bool ProtobufReader::next() {
  if (rest_.empty()) return false;
  const std::uint64_t key = read_varint();
  number_ = key >> 3U;
  type_ = static_cast<WireType>(key & 7U);
  switch (type_) {
    case WireType::kVarint:
      varint_ = read_varint();
      return true;
    case WireType::kFixed64:
      bytes_ = read_bytes(8);
      return true;
    case WireType::kBytes:
      bytes_ = read_bytes(read_varint());
      return true;
    case WireType::kFixed32:
      bytes_ = read_bytes(4);
      return true;
  }
  refuse("has wire type " + std::to_string(key & 7U) + ", expected 0, 1, 2 or 5");
}

std::uint64_t ProtobufReader::varint() const {
  require(WireType::kVarint, "a whole number");
  return varint_;
}

bool ProtobufReader::boolean() const {
  require(WireType::kVarint, "true or false");
  return varint_ != 0;
}

float ProtobufReader::float32() const {
  require(WireType::kFixed32, "a float");
  std::uint32_t bits = 0;
  for (unsigned i = 0; i < 4; ++i) {
    bits |= std::uint32_t{static_cast<unsigned char>(bytes_[i])} << (8 * i);
  }
  return std::bit_cast<float>(bits);
}

std::string_view ProtobufReader::bytes() const {
  require(WireType::kBytes, "bytes");
  return bytes_;
}

void ProtobufReader::refuse(std::string_view what) const {
  throw Error(ErrorCode::kBadModel,
              std::string(name_) + ": field " + std::to_string(number_) + " " + std::string(what));
}

void ProtobufReader::require(WireType type, std::string_view what) const {
  if (type_ != type) refuse("is not " + std::string(what));
}

std::uint64_t ProtobufReader::read_varint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const auto byte = static_cast<unsigned char>(read_bytes(1)[0]);
    value |= std::uint64_t{byte & 0x7FU} << shift;
    if (byte < 0x80) return value;
  }
  refuse("has a number of more than 64 bits");
}

std::string_view ProtobufReader::read_bytes(std::uint64_t count) {
  if (count > rest_.size()) {
    refuse("needs " + std::to_string(count) + " bytes more, but there are " +
           std::to_string(rest_.size()));
  }
  const std::string_view bytes = rest_.substr(0, count);
  rest_.remove_prefix(count);
  return bytes;
}

}  // namespace runner
