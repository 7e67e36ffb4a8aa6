#include "protocol/stream_input.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace protocol {
namespace {

StreamFrame frame(std::int64_t index, std::string delta, bool finish = false) {
  return {std::move(delta), index, finish, {}};
}

// What pushing `frames` leads to at the last one; the others must lead to nothing.
StreamCollector::Result push_all(StreamCollector& collector, std::vector<StreamFrame> frames) {
  StreamCollector::Result result;
  for (StreamFrame& next : frames) {
    EXPECT_TRUE(std::holds_alternative<StreamCollector::Unfinished>(result));
    result = collector.push(std::move(next));
  }
  return result;
}

std::string joined(std::vector<StreamFrame> frames) {
  StreamCollector collector;
  const auto result = push_all(collector, std::move(frames));
  EXPECT_TRUE(collector.empty());
  const auto* input = std::get_if<StreamInput>(&result);
  return input ? input->text : "(no input)";
}

std::string error_of(const StreamCollector::Result& result) {
  const auto* error = std::get_if<StreamInputError>(&result);
  return error ? error->detail : "(no error)";
}

TEST(StreamFrame, ReadsItsFields) {
  const auto parsed = parse_stream_frame(
      R"({"delta":"\ud83c\udf31}","index":3,"finish":true,"soft_prefix":{"len":1}})");
  const auto& read = std::get<StreamFrame>(parsed);
  EXPECT_EQ(read.delta, "\xf0\x9f\x8c\xb1}");
  EXPECT_EQ(read.index, 3);
  EXPECT_TRUE(read.finish);
  EXPECT_EQ(read.soft_prefix, R"({"len":1})");
}

TEST(StreamFrame, HasDefaultsForAllButTheIndex) {
  const auto parsed = parse_stream_frame(R"({"index":0})");
  const auto& read = std::get<StreamFrame>(parsed);
  EXPECT_EQ(read.delta, "");
  EXPECT_FALSE(read.finish);
  EXPECT_FALSE(read.soft_prefix);
}

TEST(StreamFrame, KeepsAPrefixThatIsNull) {
  const auto parsed = parse_stream_frame(R"({"index":0,"soft_prefix":null})");
  EXPECT_EQ(std::get<StreamFrame>(parsed).soft_prefix, "null");
}

TEST(StreamFrame, SaysWhatIsWrong) {
  const std::pair<std::string, std::string> cases[] = {
      {R"({"delta":"a"})", "index is missing, expected an integer from 0"},
      {R"({"index":-1})", "index is -1, expected an integer from 0"},
      {R"({"index":1.0})", "index is 1.0, expected an integer from 0"},
      {R"({"index":"1"})", "index is a string, expected an integer from 0"},
      {R"({"index":null})", "index is null, expected an integer from 0"},
      {R"({"index":9223372036854775808})",
       "index is 9223372036854775808, expected an integer from 0"},
      {R"({"index":0,"finish":1})", "finish is 1, expected true or false"},
      {R"({"index":0,"finish":"true"})", "finish is a string, expected true or false"},
      {R"({"index":0,"delta":{}})", "delta is an object, expected a string"},
      {R"({"index":0,"delta":[]})", "delta is an array, expected a string"},
      {R"([0])", "data is an array, expected an object"},
      {R"("text")", "data is a string, expected an object"},
      {"17", "data is 17, expected an object"},
  };
  for (const auto& [json, detail] : cases) {
    const auto parsed = parse_stream_frame(json);
    const auto* error = std::get_if<StreamInputError>(&parsed);
    EXPECT_EQ(error ? error->detail : "(no error)", detail) << json;
  }
}

TEST(StreamFrame, RefusesWhatIsNoJson) {
  for (const std::string json :
       {"", "hello", "{", "{\"index\":0", "{\"index\":0}x", "{\"index\":0,\"delta\":\"\xff\"}",
        R"({"index":0,"delta":"\udc00"})"}) {
    const auto parsed = parse_stream_frame(json);
    EXPECT_TRUE(std::holds_alternative<StreamInputError>(parsed)) << json;
  }
}

TEST(StreamCollector, JoinsFramesInTheOrderOfTheirIndexes) {
  EXPECT_EQ(joined({frame(0, "whole", true)}), "whole");
  EXPECT_EQ(joined({frame(0, "a"), frame(1, "b"), frame(2, "c", true)}), "abc");
  EXPECT_EQ(joined({frame(2, "c"), frame(1, "b"), frame(3, "d"), frame(0, "a", true)}), "abcd");
  EXPECT_EQ(joined({frame(0, ""), frame(1, "", true)}), "");
}

TEST(StreamCollector, ReplacesARepeatedFrame) {
  EXPECT_EQ(joined({frame(0, "a"), frame(1, "x"), frame(1, "b"), frame(2, "c", true)}), "abc");
}

TEST(StreamCollector, StartsAfreshAtASecondFirstFrame) {
  EXPECT_EQ(joined({frame(0, "x"), frame(1, "y"), frame(0, "a"), frame(1, "b", true)}), "ab");
  EXPECT_EQ(joined({frame(0, "x"), frame(1, "y"), frame(0, "a", true)}), "a");
}

TEST(StreamCollector, ForgetsThePrefixWhenItStartsAfresh) {
  StreamCollector collector;
  collector.push({"x", 0, false, "{}"});
  const auto result = collector.push(frame(0, "a", true));
  EXPECT_FALSE(std::get<StreamInput>(result).soft_prefix);
}

TEST(StreamCollector, KeepsTheLastPrefixReceived) {
  StreamCollector collector;
  const auto result = push_all(
      collector, {{"b", 1, false, "1"}, {"a", 0, false, "2"}, {"c", 2, true, std::nullopt}});
  EXPECT_EQ(std::get<StreamInput>(result).soft_prefix, "2");
}

TEST(StreamCollector, NamesTheMissingIndexAndIsEmptyAgain) {
  StreamCollector collector;
  EXPECT_EQ(error_of(push_all(collector, {frame(0, "a"), frame(2, "c", true)})),
            "frame 1 is missing, got up to 2");
  EXPECT_TRUE(collector.empty());
  EXPECT_EQ(error_of(collector.push(frame(1, "b", true))), "frame 0 is missing, got up to 1");
  EXPECT_EQ(error_of(push_all(collector, {frame(0, "a"), frame(3, "d"), frame(1, "b", true)})),
            "frame 2 is missing, got up to 3");
  EXPECT_EQ(std::get<StreamInput>(collector.push(frame(0, "again", true))).text, "again");
}

TEST(StreamCollector, HoldsABoundedNumberOfBytes) {
  StreamCollector collector;
  const std::string half(StreamCollector::kMaxBytes / 2, 'x');
  push_all(collector, {frame(0, half), frame(1, half), frame(1, half)});
  EXPECT_EQ(error_of(collector.push(frame(2, "x"))), "the input is over 8388608 bytes");
  EXPECT_TRUE(collector.empty());

  push_all(collector, {frame(0, half), {half, 1, false, ""}});
  EXPECT_EQ(error_of(collector.push({"", 2, false, "x"})), "the input is over 8388608 bytes");
  // Nothing is left of the count either.
  push_all(collector, {frame(0, half)});
  const auto result = collector.push(frame(1, half, true));
  EXPECT_EQ(std::get<StreamInput>(result).text.size(), StreamCollector::kMaxBytes);
}

TEST(StreamCollector, HoldsABoundedNumberOfFrames) {
  StreamCollector collector;
  for (std::size_t i = 0; i < StreamCollector::kMaxFrames; ++i) {
    collector.push(frame(static_cast<std::int64_t>(i), "x"));
  }
  EXPECT_FALSE(collector.empty());
  EXPECT_EQ(error_of(collector.push(frame(StreamCollector::kMaxFrames, "x"))),
            "the input is over 65536 frames");
  EXPECT_TRUE(collector.empty());
}

}  // namespace
}  // namespace protocol
