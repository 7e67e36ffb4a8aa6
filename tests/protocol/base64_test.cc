#include "protocol/base64.h"

#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <string>
#include <utility>

namespace protocol {
namespace {

TEST(Base64, AgreesWithTheVectorsOfRfc4648) {
  const std::pair<std::string, std::string> cases[] = {
      {"", ""},
      {"f", "Zg=="},
      {"fo", "Zm8="},
      {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="},
      {"fooba", "Zm9vYmE="},
      {"foobar", "Zm9vYmFy"},
  };
  for (const auto& [bytes, text] : cases) {
    EXPECT_EQ(base64_encode(bytes), text);
    EXPECT_EQ(base64_decode(text), bytes);
  }
}

TEST(Base64, RoundTripsEveryByteAtEveryLength) {
  std::mt19937 random(1);
  for (std::size_t length = 0; length < 600; ++length) {
    std::string bytes(length, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    EXPECT_EQ(base64_decode(base64_encode(bytes)), bytes);
  }
}

TEST(Base64, RefusesWhatIsNotExactlyOnePaddedText) {
  const std::string cases[] = {
      "Z",
      "Zg",
      "Zg=",
      "Zg===",
      "=",
      "==",
      "====",
      "Zm9v=",
      "Zm9v====",
      "Z===",
      "Zg==Zg==",
      "Zm9v\n",
      " Zm9v",
      "Zm 9v",
      "Zm9v\r\nZg",
      "Zm-v",
      "Zm_v",
      "Zm9\xc3",
      "Zh==",  // unused bits are set
      "Zm9=",  // likewise
      std::string("Zm\0v", 4),
      "=m9v",
      "Z=9v",
      "Zm=v",
  };
  for (const std::string& text : cases) EXPECT_EQ(base64_decode(text), std::nullopt) << text;
}

}  // namespace
}  // namespace protocol
