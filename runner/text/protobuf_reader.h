#pragma once

#include <cstdint>
#include <string_view>

namespace runner {

// Reads the fields of one message in protobuf's wire format, in the order in which they stand there
// (https://protobuf.dev/programming-guides/encoding/). Points into the message, which outlives it.
//
//   for (ProtobufReader field("Person", bytes); field.next();) {
//     if (field.number() == 1) name = field.bytes();
//   }
//
// All but number() and next() throw Error(kBadModel) when the field is of another kind; next() when
// the message is cut off or is none. Errors say "message: field N …".
class ProtobufReader {
 public:
  // `name` is the message's, for errors; it outlives the reader.
  ProtobufReader(std::string_view name, std::string_view message) : name_(name), rest_(message) {}

  // Goes to the next field; false at the end.
  bool next();

  std::uint64_t number() const { return number_; }

  std::uint64_t varint() const;    // int32, int64, uint32, uint64, enum
  bool boolean() const;            // bool
  float float32() const;           // float
  std::string_view bytes() const;  // string, bytes, messages

 private:
  enum class WireType : std::uint64_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

  [[noreturn]] void refuse(std::string_view what) const;
  void require(WireType type, std::string_view what) const;
  std::uint64_t read_varint();
  std::string_view read_bytes(std::uint64_t count);

  std::string_view name_;
  std::string_view rest_;
  std::uint64_t number_ = 0;
  WireType type_ = WireType::kVarint;
  std::uint64_t varint_ = 0;
  std::string_view bytes_;  // of all types but kVarint
};

}  // namespace runner
