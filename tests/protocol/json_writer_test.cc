#include "protocol/json_writer.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <utility>

namespace protocol {
namespace {

using namespace std::string_literals;

TEST(JsonWriter, WritesStringsInTheStyleOfTheProtocol) {
  const std::pair<std::string, std::string> cases[] = {
      {"", R"("")"},
      {"plain /text?", R"("plain /text?")"},
      {"{}[]", R"("\u007b\u007d[]")"},
      {R"(C:\new)", R"("C:\u005cnew")"},
      {"ends in \\", R"("ends in \u005c")"},
      {R"(say "hi")", R"("say \"hi\"")"},
      {"\n\t\r\b", R"("\n\t\r\b")"},
      {"\f\v\a\x1b\x01\x1f\0"s, R"("\u000c\u000b\u0007\u001b\u0001\u001f\u0000")"},
      {"\x7f", "\"\x7f\""},
      {"h\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x8c\xb1", "\"h\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x8c\xb1\""},
      {"\xe2\x80\xa8", "\"\xe2\x80\xa8\""},
  };
  for (const auto& [text, json] : cases) EXPECT_EQ(json_string(text), json);
}

TEST(JsonWriter, HidesStringsThatLookLikeKeys) {
  const std::pair<std::string, std::string> cases[] = {
      {"action", R"("\u0061ction")"},
      {"object", R"("\u006fbject")"},
      {"data", R"("\u0064ata")"},
      {"index", R"("\u0069ndex")"},
      {"finish", R"("\u0066inish")"},
      {"delta", R"("\u0064elta")"},
      {"request_id", R"("\u0072equest_id")"},
      {"work_id", R"("\u0077ork_id")"},
      {"zmq_com", R"("\u007amq_com")"},
      // The escaped quote and the closing one would enclose the name.
      {R"(say "delta)", R"("say \"\u0064elta")"},
      {"error", R"("error")"},
      {"Data", R"("Data")"},
      {"data ", R"("data ")"},
      {"metadata", R"("metadata")"},
      {R"("delta" is)", R"("\"delta\" is")"},
  };
  for (const auto& [text, json] : cases) EXPECT_EQ(json_string(text), json);
}

TEST(JsonWriter, AppendsWithoutTouchingWhatIsThere) {
  std::string out = "[";
  append_json_string(out, "a");
  out += ',';
  append_json_string(out, "\n");
  EXPECT_EQ(out, R"(["a","\n")");
}

TEST(JsonWriter, WritesStreamDataInFixedOrder) {
  EXPECT_EQ(stream_data(0, false, "Hi {you}"),
            R"({"index":0,"finish":false,"delta":"Hi \u007byou\u007d"})");
  EXPECT_EQ(stream_data(7, true, ""), R"({"index":7,"finish":true,"delta":""})");
  EXPECT_EQ(stream_data(std::numeric_limits<std::uint64_t>::max(), true, "delta"),
            R"({"index":18446744073709551615,"finish":true,"delta":"\u0064elta"})");
}

}  // namespace
}  // namespace protocol
