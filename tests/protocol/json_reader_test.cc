#include "protocol/json_reader.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <utility>

namespace protocol {
namespace {

std::string nested(std::size_t depth, const std::string& inside) {
  return std::string(depth, '[') + inside + std::string(depth, ']');
}

std::string quoted(const std::string& text) { return std::string(1, '"') + text + '"'; }

TEST(JsonDocument, TakesEveryKindOfText) {
  for (const std::string text : {"{}", "[]", "\"a\"", "1", "-1.5e300", "true", "null", " {} \n",
                                 "18446744073709551615", "-9223372036854775808"}) {
    EXPECT_TRUE(JsonDocument(text).ok()) << text;
  }
}

TEST(JsonDocument, RefusesWhatIsNoJson) {
  const std::string cases[] = {
      "",
      " ",
      "{",
      "}",
      "{}{}",
      "{}x",
      R"({"a":1)",
      R"({"a":1,})",
      R"({"a" 1})",
      R"({a:1})",
      R"({'a':1})",
      R"({"a":01})",
      R"({"a":+1})",
      R"({"a":1e400})",
      R"({"a":123456789012345678901})",
      R"({"a":nan})",
      R"({"a":tru})",
      R"({"a":"\x41"})",
      R"({"a":"\u12g4"})",
      R"({"a":"\u12"})",
      R"({"a":"unfinished})",
      "{\"a\":\"line\nbreak\"}",
      "{\"a\":\"tab\t\"}",
      std::string("{\"a\":\"nul\0\"}", 12),
      "\xef\xbb\xbf{}",
      "// comment\n{}",
  };
  for (const std::string& text : cases) {
    const JsonDocument document(text);
    EXPECT_FALSE(document.ok()) << text;
    EXPECT_NE(document.error(), "") << text;
  }
}

TEST(JsonDocument, RefusesBytesThatAreNotUtf8) {
  for (const std::string bytes : {"\xff", "\xc3", "\xc3(", "\x80", "\xc0\xaf", "\xe2\x82",
                                  "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80"}) {
    EXPECT_EQ(JsonDocument("{\"a\":\"" + bytes + "\"}").error(), "not valid UTF-8") << bytes;
    EXPECT_EQ(JsonDocument("{\"" + bytes + "\":1}").error(), "not valid UTF-8") << bytes;
  }
}

TEST(JsonDocument, DecodesEscapes) {
  const std::pair<std::string, std::string> cases[] = {
      {R"("\"\\\/\b\f\n\r\t")", "\"\\/\b\f\n\r\t"},
      {R"("\u0041\u00e9\u65E5")", "A\xc3\xa9\xe6\x97\xa5"},
      {R"("\u0000")", std::string(1, '\0')},
      {R"("\ud83c\udf31\uD83C\uDF31")", "\xf0\x9f\x8c\xb1\xf0\x9f\x8c\xb1"},
      {R"("\udbff\udfff\ud800\udc00")", "\xf4\x8f\xbf\xbf\xf0\x90\x80\x80"},
      {R"("\\ud800")", "\\ud800"},
      {R"("\\\\ud800")", "\\\\ud800"},
      {R"("ends in \\")", "ends in \\"},
  };
  for (const auto& [json, text] : cases) {
    const JsonDocument document(json);
    ASSERT_TRUE(document.ok()) << json << ": " << document.error();
    EXPECT_EQ(std::string_view(document.root()), text);
  }
}

TEST(JsonDocument, RefusesHalfASurrogatePair) {
  for (const std::string half :
       {R"(\ud800)", R"(\udbff)", R"(\udc00)", R"(\udfff)", R"(\udf31\ud83c)", R"(\ud83cx)",
        R"(\ud83c\n)", R"(\ud83c\\udf31)", R"(\ud83c\ud83c\udf31)", R"(\ud800\u0041)",
        R"(\ud800\uffff)", R"(\ud83c\udf31\udf31)", R"(\\\ud800)", R"(\uD800\ue000)"}) {
    for (const std::string& text :
         {quoted(half), "{\"a\":\"x" + half + "y\"}", "{\"" + half + "\":1}"}) {
      const JsonDocument document(text);
      EXPECT_EQ(document.error().rfind("half a surrogate pair", 0), 0u)
          << text << ": " << document.error();
    }
  }
}

TEST(JsonDocument, NestsToItsLimitAndNoDeeper) {
  constexpr std::size_t kMax = JsonDocument::kMaxDepth;
  EXPECT_TRUE(JsonDocument(nested(kMax, "")).ok());
  EXPECT_TRUE(JsonDocument(nested(kMax, "1")).ok());
  EXPECT_TRUE(JsonDocument(nested(kMax - 1, R"({"a":1})")).ok());
  EXPECT_TRUE(JsonDocument(nested(1, nested(kMax - 1, "1") + "," + nested(kMax - 1, ""))).ok());
  EXPECT_TRUE(JsonDocument(quoted(nested(kMax + 1, "\\\""))).ok());  // in a string
  for (const std::string& text :
       {nested(kMax + 1, ""), nested(kMax + 1, "1"), nested(kMax, R"({"a":1})"), nested(kMax, "{}"),
        nested(1'000'000, ""), std::string(1'000'000, '[')}) {
    EXPECT_EQ(JsonDocument(text).error(), "nested deeper than 1024");
  }
}

TEST(JsonDocument, KeepsItsElementsWhenMoved) {
  JsonDocument document(R"({"a":"a rather long string, longer than any small one"})");
  const simdjson::dom::object object = document.root();
  const JsonDocument moved = std::move(document);
  EXPECT_EQ(std::string_view(*find_member(object, "a")),
            "a rather long string, longer than any small one");
}

TEST(FindMember, FindsTheFirstOfAKey) {
  const JsonDocument document(R"({"a":1,"b":null,"a":2,"":3})");
  const simdjson::dom::object object = document.root();
  EXPECT_EQ(std::int64_t(*find_member(object, "a")), 1);
  EXPECT_TRUE(find_member(object, "b")->is_null());
  EXPECT_EQ(std::int64_t(*find_member(object, "")), 3);
  EXPECT_FALSE(find_member(object, "c"));
}

TEST(MemberText, IsTheValueAsItStands) {
  const std::string json =
      "\n{ \"a\" : 1.0,\"b:,\":[{\"c\":1}, \"]}\\\"\" ] , \"c\"\t:\r\n{ \"a\" : 2 }\n,"
      "\"\\u0064\":\"\\\\\",\"a\":3,\"e\":-0 }";
  const std::pair<std::string, std::string> cases[] = {
      {"a", "1.0"}, {"b:,", "[{\"c\":1}, \"]}\\\"\" ]"}, {"c", "{ \"a\" : 2 }"}, {"d", "\"\\\\\""},
      {"e", "-0"},
  };
  const JsonDocument document(json);
  ASSERT_TRUE(document.ok()) << document.error();
  for (const auto& [key, text] : cases) EXPECT_EQ(member_text(json, document.root(), key), text);
}

TEST(Describe, NamesWhatAnElementIs) {
  const std::pair<std::string, std::string> cases[] = {
      {"{}", "an object"}, {"[]", "an array"}, {"\"x\"", "a string"}, {"-1", "-1"},
      {"1.5", "1.5"},      {"1.0", "1.0"},     {"true", "true"},      {"null", "null"},
  };
  for (const auto& [json, words] : cases) EXPECT_EQ(describe(JsonDocument(json).root()), words);
}

}  // namespace
}  // namespace protocol
