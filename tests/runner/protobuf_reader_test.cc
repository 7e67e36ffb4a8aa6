#include "runner/text/protobuf_reader.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/runner/sentencepiece_data.h"
#include "tests/runner/text_data.h"

namespace runner {
namespace {

using sentencepiece_data::Message;
using text_data::bad_model;

// What reading all of `bytes` throws, each field by `read`.
template <typename Read>
std::string read_failure(const std::string& bytes, const Read& read) {
  return bad_model([&] {
    for (ProtobufReader field("M", bytes); field.next();) read(field);
  });
}

TEST(ProtobufReader, ReadsFieldsInOrder) {
  const std::string bytes =
      Message().number(1, 300).text(2, "two").float32(3, -1.5F).number(400, ~0ULL).bytes() +
      std::string(
          "\x29"
          "12345678"
          "\x30\x01",
          11);  // 5: fixed64, 6: 1
  ProtobufReader field("M", bytes);
  ASSERT_TRUE(field.next());
  EXPECT_EQ(field.number(), 1U);
  EXPECT_EQ(field.varint(), 300U);
  EXPECT_TRUE(field.boolean());
  ASSERT_TRUE(field.next());
  EXPECT_EQ(field.number(), 2U);
  EXPECT_EQ(field.bytes(), "two");
  ASSERT_TRUE(field.next());
  EXPECT_EQ(field.number(), 3U);
  EXPECT_EQ(field.float32(), -1.5F);
  ASSERT_TRUE(field.next());
  EXPECT_EQ(field.number(), 400U);
  EXPECT_EQ(field.varint(), ~0ULL);
  ASSERT_TRUE(field.next());
  EXPECT_EQ(field.number(), 5U);
  ASSERT_TRUE(field.next());
  EXPECT_EQ(field.number(), 6U);
  EXPECT_EQ(field.varint(), 1U);
  EXPECT_FALSE(field.next());
}

TEST(ProtobufReader, NamesTheFieldThatIsOfAnotherKind) {
  const std::string number = Message().number(7, 1).bytes();
  const std::string text = Message().text(8, "x").bytes();
  EXPECT_EQ(read_failure(number, [](const auto& field) { field.bytes(); }),
            "M: field 7 is not bytes");
  EXPECT_EQ(read_failure(number, [](const auto& field) { field.float32(); }),
            "M: field 7 is not a float");
  EXPECT_EQ(read_failure(text, [](const auto& field) { field.varint(); }),
            "M: field 8 is not a whole number");
  EXPECT_EQ(read_failure(text, [](const auto& field) { field.boolean(); }),
            "M: field 8 is not true or false");
}

TEST(ProtobufReader, RefusesWhatIsCutOffOrNoMessage) {
  const auto skip = [](const ProtobufReader&) {};
  const std::string whole = Message().number(1, 300).text(2, "two").float32(3, 0).bytes();
  for (std::size_t bytes = 1; bytes < whole.size(); ++bytes) {
    const bool is_whole = bytes == 3 || bytes == 8;  // where a field ends
    EXPECT_EQ(read_failure(whole.substr(0, bytes), skip) == "no Error", is_whole) << bytes;
  }
  EXPECT_EQ(read_failure("\x12\x04two", skip), "M: field 2 needs 4 bytes more, but there are 3");
  EXPECT_EQ(read_failure("\x0B", skip), "M: field 1 has wire type 3, expected 0, 1, 2 or 5");
  EXPECT_EQ(read_failure("\x08" + std::string(10, '\x80') + '\x01', skip),
            "M: field 1 has a number of more than 64 bits");
}

}  // namespace
}  // namespace runner
