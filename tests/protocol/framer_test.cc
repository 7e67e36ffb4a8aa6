#include "protocol/framer.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace protocol {
namespace {

using namespace std::string_literals;

// Frames as readable text: the object itself, "raw OBJECT BYTES", "bson OBJECT" or "reset".
std::string in_words(const Frame& frame) {
  switch (frame.kind) {
    case Frame::Kind::kObject:
      return frame.json;
    case Frame::Kind::kRaw:
      return "raw " + frame.json + " " + frame.raw;
    case Frame::Kind::kBson:
      return "bson " + frame.json + frame.raw;
    case Frame::Kind::kReset:
      return "reset" + frame.json + frame.raw;
  }
  return "";
}

// The frames of `bytes` when they come `piece_bytes` at a time.
std::vector<std::string> frames_of(std::string_view bytes, std::size_t max_bytes,
                                   std::size_t piece_bytes) {
  Framer framer(max_bytes);
  std::vector<std::string> frames;
  for (std::size_t i = 0; i < bytes.size(); i += piece_bytes) {
    framer.push(bytes.substr(i, piece_bytes));
    while (const auto frame = framer.next()) frames.push_back(in_words(*frame));
  }
  return frames;
}

struct Case {
  std::string bytes;
  std::vector<std::string> frames;
  std::size_t max_bytes = 1000;
};

void expect_frames(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    for (const std::size_t piece_bytes : {std::size_t{1}, std::size_t{2}, std::size_t{3},
                                          std::size_t{7}, std::size_t{64}, c.bytes.size() + 1}) {
      EXPECT_EQ(frames_of(c.bytes, c.max_bytes, piece_bytes), c.frames)
          << c.bytes << "\nin pieces of " << piece_bytes;
    }
  }
}

TEST(Framer, EndsAnObjectAtItsClosingBrace) {
  expect_frames({
      {"", {}},
      {"{}", {"{}"}},
      {R"({"a":{"b":[{},{}]}})", {R"({"a":{"b":[{},{}]}})"}},
      {"{}{}", {"{}", "{}"}},
      {"{\"a\":1}\n{\"b\":2}\r\n\0{\"c\":3}"s, {"{\"a\":1}", "{\"b\":2}", "{\"c\":3}"}},
      {"{\n  \"a\": [\n    {}\n  ]\n}\n", {"{\n  \"a\": [\n    {}\n  ]\n}"}},
      {R"({"a":1)", {}},
  });
}

TEST(Framer, DoesNotCountBracesInStrings) {
  expect_frames({
      {R"({"a":"}"}{"b":"{"})", {R"({"a":"}"})", R"({"b":"{"})"}},
      {R"({"a":"\"}"}{})", {R"({"a":"\"}"})", "{}"}},
      {R"({"a":"\\"}{})", {R"({"a":"\\"})", "{}"}},
      {R"({"a":"\\\"}"}{})", {R"({"a":"\\\"}"})", "{}"}},
      {R"({"}":"\u007b"}{})", {R"({"}":"\u007b"})", "{}"}},
  });
}

TEST(Framer, PassesOnObjectsThatAreNoJson) {
  expect_frames({
      {"{]}{nonsense}{\\}", {"{]}", "{nonsense}", "{\\}"}},
      {"{\xff\xfe}{}", {"{\xff\xfe}", "{}"}},
  });
}

TEST(Framer, SkipsWhatCannotStartAnObject) {
  expect_frames({
      {"hello {} world", {"{}"}},
      {"\xef\xbb\xbf{}", {"{}"}},
      {"\"{\"", {}},  // no string is open between objects
      {"[1,2] \\\" {\"a\":1} \x00\xff\x80"s, {"{\"a\":1}"}},
      {"GET / HTTP/1.1\r\n\r\n{}", {"{}"}},
  });
}

TEST(Framer, ReportsEachBraceThatClosesNothing) {
  expect_frames({
      {"}", {"reset"}},
      {"}}", {"reset", "reset"}},
      {"{}}{}", {"{}", "reset", "{}"}},
      {"x}y{\"a\":1}", {"reset", "{\"a\":1}"}},
  });
}

TEST(Framer, SkipsAnObjectOverTheLimitToItsEnd) {
  const std::string at_limit = R"({"a":"34567890"})";  // 16 bytes
  const std::string over = R"({"a":"345678901"})";
  const std::string far_over = R"({"a":")" + std::string(500, 'x') + R"(}}\"}}{{","b":{"c":{}}})";
  expect_frames({
      {at_limit + at_limit, {at_limit, at_limit}, 16},
      {over + at_limit, {"reset", at_limit}, 16},
      {far_over + "\n{}" + far_over + "{}", {"reset", "{}", "reset", "{}"}, 16},
      {far_over, {"reset"}, 1},
      {"{}", {"reset"}, 1},
      {"{}", {"reset"}, 0},
      {R"({"a":")" + std::string(2000, '{'), {"reset"}, 100},
  });
}

TEST(Framer, TakesRawBytesBehindTheirObject) {
  expect_frames({
      {"{\"RAW\":3}\nabc{}", {"raw {\"RAW\":3} abc", "{}"}},
      {"{\"RAW\":3,\"b\":{}}{}}{{}", {"raw {\"RAW\":3,\"b\":{}} }}{", "{}"}},
      {"{\"RAW\":5} \0\n}\"{{}"s, {"raw {\"RAW\":5} \0\n}\"{"s, "{}"}},
      {"{\"RAW\":0}\n{}", {"raw {\"RAW\":0} ", "{}"}},
      {"{\"RAW\":0}{{}", {"raw {\"RAW\":0} ", "{}"}},  // the separator may be anything
      {"{\"RAW\": 2 }\nab{}", {"raw {\"RAW\": 2 } ab", "{}"}},
      {"{\"RAW\":1}", {}},
      {"{\"RAW\":1}\n", {}},
      {"{\"BON\":3}\nabc{}", {"bson {\"BON\":3}", "{}"}},
  });
}

TEST(Framer, TakesRawOnlyAsAnIntegerAtTheVeryStart) {
  for (const std::string object :
       {R"({"RAW":-1})", R"({"RAW":1.5})", R"({"RAW":1e1})", R"({"RAW":"3"})", R"({"RAW":null})",
        R"({"RAW":})", R"({"RAW":99999999999999999999})", R"({"a":1,"RAW":3})", R"({ "RAW":3})",
        R"({"RAW" :3})", R"({"raw":3})", R"({"RAW":3x})", R"({"RAW"})", R"({"BON":"x"})"}) {
    expect_frames({{object + "{}", {object, "{}"}}});
  }
}

TEST(Framer, SkipsRawBytesOverTheLimit) {
  const std::string bytes(21, '}');
  const std::string long_object = R"({"RAW":2,"a":")" + std::string(90, '{') + "\"}";
  expect_frames({
      {"{\"RAW\":20}\n" + bytes.substr(1) + "{}",
       {"raw {\"RAW\":20} " + bytes.substr(1), "{}"},
       20},
      {"{\"RAW\":21}\n" + bytes + "{}", {"reset", "{}"}, 20},
      {"{\"BON\":21}\n" + bytes + "{}", {"reset", "{}"}, 20},
      {long_object + "\n}}{}", {"reset", "{}"}, 20},  // both the object and what follows it
      {long_object + "\n}}{}", {"reset", "{}"}, 4},
      {"{\"RAW\":18446744073709551615}\n{}", {"reset"}},
  });
}

TEST(Framer, TakesMillionsOfBytesOneByOne) {
  const std::string object = R"({"a":")" + std::string(2'000'000, '{') + "\"}";
  EXPECT_EQ(frames_of(object + "{}", object.size(), 1), (std::vector<std::string>{object, "{}"}));
  EXPECT_EQ(frames_of(object + "{}", 1000, 1), (std::vector<std::string>{"reset", "{}"}));
}

TEST(Framer, FindsManyObjectsInOnePush) {
  std::string bytes;
  for (int i = 0; i < 100'000; ++i) bytes += "{} ";
  EXPECT_EQ(frames_of(bytes, 1000, bytes.size()).size(), 100'000u);
}

}  // namespace
}  // namespace protocol
