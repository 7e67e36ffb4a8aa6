#include "protocol/message.h"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "protocol/framer.h"
#include "protocol/json_reader.h"
#include "protocol/json_writer.h"

namespace protocol {
namespace {

Request request_of(std::string_view json) {
  auto parsed = parse_request(json);
  if (const auto* bad = std::get_if<BadRequest>(&parsed)) {
    ADD_FAILURE() << json << ": " << bad->detail;
    return {};
  }
  return std::get<Request>(std::move(parsed));
}

BadRequest bad_request_of(std::string_view json) {
  auto parsed = parse_request(json);
  if (std::holds_alternative<Request>(parsed)) {
    ADD_FAILURE() << json << " was taken";
    return {};
  }
  return std::get<BadRequest>(std::move(parsed));
}

std::string request_with_data(const std::string& data) {
  return R"({"request_id":"1","work_id":"llm","action":"setup","data":)" + data + "}";
}

TEST(ParseRequest, ReadsEveryField) {
  const Request request = request_of(
      R"({"request_id":"7","work_id":"llm.1000","action":"inference","object":"llm.utf-8",)"
      R"("data":"hi"})");
  EXPECT_EQ(request.request_id, "7");
  EXPECT_EQ(request.work_id, "llm.1000");
  EXPECT_EQ(request.action, "inference");
  EXPECT_EQ(request.object, "llm.utf-8");
  EXPECT_EQ(request.data_kind, DataKind::kString);
  EXPECT_EQ(request.data, "hi");
}

TEST(ParseRequest, TakesKeysInAnyOrderAndIgnoresOthers) {
  const Request request = request_of(
      R"({"zmq_com":"ipc:///tmp/llm/8000.sock","action":"exit","new":[{}],"work_id":"llm.1",)"
      R"("request_id":""})");
  EXPECT_EQ(request.request_id, "");
  EXPECT_EQ(request.work_id, "llm.1");
  EXPECT_EQ(request.action, "exit");
  EXPECT_EQ(request.object, "");
  EXPECT_EQ(request.data_kind, DataKind::kAbsent);
}

TEST(ParseRequest, TakesANullObjectForNone) {
  EXPECT_EQ(request_of(R"({"request_id":"1","work_id":"","action":"","object":null})").object, "");
}

TEST(ParseRequest, TellsKindsOfDataApart) {
  const std::tuple<std::string, DataKind, std::string> cases[] = {
      {R"("")", DataKind::kString, ""},
      {R"("a \"b\" \\ \u65e5 \ud83c\udf31 {}\n")", DataKind::kString,
       "a \"b\" \\ \xe6\x97\xa5 \xf0\x9f\x8c\xb1 {}\n"},
      {R"("ends in \\")", DataKind::kString, "ends in \\"},
      {R"("{\"index\":0}")", DataKind::kString, R"({"index":0})"},
      {R"( { "a" : [ 1 , 2.0 ] , "b" : "x\\\u0007\"}" } )", DataKind::kObject,
       R"({ "a" : [ 1 , 2.0 ] , "b" : "x\\\u0007\"}" })"},
      {"null", DataKind::kNull, ""},
      {"[1]", DataKind::kOther, "[1]"},
      {"1.5", DataKind::kOther, "1.5"},
      {"true", DataKind::kOther, "true"},
  };
  for (const auto& [json, kind, data] : cases) {
    const Request request = request_of(request_with_data(json));
    EXPECT_EQ(request.data_kind, kind) << json;
    EXPECT_EQ(request.data, data) << json;
  }
}

TEST(ParseRequest, EchoesTheRequestIdOfAnIncompleteRequest) {
  const std::tuple<std::string, std::string, std::string> cases[] = {
      {R"({})", "0", "request_id is missing, expected a string"},
      {R"({"work_id":"sys","action":"ping"})", "0", "request_id is missing, expected a string"},
      {R"({"request_id":4,"work_id":"sys","action":"ping"})", "0",
       "request_id is 4, expected a string"},
      {R"({"request_id":null,"work_id":"sys","action":"ping"})", "0",
       "request_id is null, expected a string"},
      {R"({"request_id":"4"})", "4", "work_id is missing, expected a string"},
      {R"({"action":"ping","request_id":"4"})", "4", "work_id is missing, expected a string"},
      {R"({"request_id":"4","work_id":{},"action":"ping"})", "4",
       "work_id is an object, expected a string"},
      {R"({"request_id":"4","work_id":"sys"})", "4", "action is missing, expected a string"},
      {R"({"request_id":"4","work_id":"sys","action":["ping"]})", "4",
       "action is an array, expected a string"},
      {R"({"request_id":"4","work_id":"sys","action":"ping","object":false})", "4",
       "object is false, expected a string"},
      {R"(["request_id","4"])", "0", "got an array, expected an object"},
      {R"("text")", "0", "got a string, expected an object"},
  };
  for (const auto& [json, request_id, detail] : cases) {
    const BadRequest bad = bad_request_of(json);
    EXPECT_EQ(bad.request_id, request_id) << json;
    EXPECT_EQ(bad.detail, detail) << json;
  }
}

TEST(ParseRequest, RefusesWhatDoesNotParse) {
  const std::string cases[] = {
      "",
      R"({"request_id":"4","work_id":"sys","action":"pi)",
      R"({"request_id":"4","work_id":"sys","action":"ping"} x)",
      "\x01\x02\xff",
      request_with_data("\"\xff\""),
      request_with_data(R"("\ud83c")"),
      request_with_data(R"("\udf31")"),
      request_with_data(R"({"\ud800\u0041":1})"),
      request_with_data("\"line\nbreak\""),
      request_with_data(std::string(1024, '[') + std::string(1024, ']')),
  };
  for (const std::string& json : cases) {
    const BadRequest bad = bad_request_of(json);
    EXPECT_EQ(bad.request_id, "0") << json;
    EXPECT_NE(bad.detail, "") << json;
  }
}

TEST(ParseRequest, TakesDataNestedToTheLimit) {
  const std::string data = std::string(1023, '[') + std::string(1023, ']');
  EXPECT_EQ(request_of(request_with_data(data)).data, data);
}

Frame frame_of(std::string_view bytes) {
  Framer framer;
  framer.push(bytes);
  return framer.next().value_or(Frame{});
}

TEST(ParseFrame, PutsRawBytesInThePlaceOfData) {
  const Frame frame = frame_of(
      "{\"RAW\":4,\"request_id\":\"1\",\"work_id\":\"llm.1000\",\"action\":\"inference\","
      "\"object\":\"llm.utf-8.base64\",\"data\":{\"old\":1}}\n\xff}\n{");
  const auto parsed = parse_frame(frame);
  const Request& request = std::get<Request>(parsed);
  EXPECT_EQ(request.request_id, "1");
  EXPECT_EQ(request.data_kind, DataKind::kString);
  EXPECT_EQ(request.data, "/30Kew==");
}

TEST(ParseFrame, RefusesBson) {
  const Frame frame =
      frame_of("{\"BON\":2,\"request_id\":\"5\",\"work_id\":\"sys\",\"action\":\"ping\"}\n{}");
  const auto parsed = parse_frame(frame);
  EXPECT_EQ(std::get<BadRequest>(parsed).request_id, "5");
  EXPECT_EQ(std::get<BadRequest>(parsed).detail, "BSON data is not supported");
}

TEST(ParseFrame, RefusesBadRequestsOfEveryKind) {
  for (const std::string bytes : {"{}", "{\"RAW\":2}\n{}", "{\"BON\":2}\n{}", "}"}) {
    EXPECT_TRUE(std::holds_alternative<BadRequest>(parse_frame(frame_of(bytes)))) << bytes;
  }
}

TEST(ObjectHas, ComparesDottedParts) {
  EXPECT_TRUE(object_has("llm.utf-8.stream", "stream"));
  EXPECT_TRUE(object_has("llm.utf-8.stream", "llm"));
  EXPECT_TRUE(object_has("llm.stream.base64", "stream"));
  EXPECT_TRUE(object_has("stream", "stream"));
  EXPECT_FALSE(object_has("llm.utf-8", "stream"));
  EXPECT_FALSE(object_has("llm.utf-8.streams", "stream"));
  EXPECT_FALSE(object_has("llm.mainstream", "stream"));
  EXPECT_FALSE(object_has("", "stream"));
}

TEST(MakeError, PutsTheDetailBehindTheFixedText) {
  EXPECT_EQ(make_error(WireCode::kOk).message, "");
  EXPECT_EQ(make_error(WireCode::kTaskFull).message, "task full");
  EXPECT_EQ(make_error(WireCode::kModelLoading, "no \"x\"").message,
            "Model loading failed.: no \"x\"");
}

TEST(Serialize, WritesTheLineOfTheProtocol) {
  Reply reply;
  reply.request_id = "2";
  reply.work_id = "llm.1002";
  EXPECT_EQ(serialize(reply, 1731488402),
            R"({"object":"None","data":"None","error":{"code":0,"message":""},)"
            R"("created":1731488402,"request_id":"2","work_id":"llm.1002"})"
            "\n");
}

TEST(Serialize, WritesStreamsAndErrors) {
  Reply reply;
  reply.request_id = "data";
  reply.work_id = "llm.1000";
  reply.object = "llm.utf-8.stream";
  reply.data_json = stream_data(3, true, "");
  reply.error = make_error(WireCode::kModelRun, "a {b}\n");
  EXPECT_EQ(serialize(reply, 5),
            R"({"object":"llm.utf-8.stream","data":{"index":3,"finish":true,"delta":""},)"
            R"("error":{"code":-11,"message":"Model run failed.: a \u007bb\u007d\n"},)"
            R"("created":5,"request_id":"\u0064ata","work_id":"llm.1000"})"
            "\n");
}

TEST(Serialize, StampsTheTime) {
  const std::string line = serialize(Reply{});
  EXPECT_GT(std::atoll(line.c_str() + line.find("\"created\":") + 10), 1'600'000'000);
}

// ---- Readers that do not parse JSON

// Reads as upstream units do: the first place where the quoted key name stands, the text between
// the next two quotes that have no backslash before them, escapes undone in a second step.
std::string naive_string(std::string_view line, const std::string& key) {
  std::size_t begin = line.find("\"" + key + "\"");
  if (begin == std::string_view::npos) return "(key not found)";
  begin = line.find('"', line.find(':', begin)) + 1;
  std::size_t end = begin;
  while (line[end] != '"' || line[end - 1] == '\\') ++end;

  std::string text;
  for (std::size_t i = begin; i < end; ++i) {
    if (line[i] != '\\') {
      text += line[i];
      continue;
    }
    switch (line[++i]) {
      case 'n':
        text += '\n';
        break;
      case 't':
        text += '\t';
        break;
      case 'r':
        text += '\r';
        break;
      case 'b':
        text += '\b';
        break;
      case 'u':
        text += static_cast<char>(std::stoi(std::string(line.substr(i + 1, 4)), nullptr, 16));
        i += 4;
        break;
      default:
        text += line[i];
    }
  }
  return text;
}

// The index of the brace that ends the line's object when braces in strings are counted too.
std::size_t naive_end(std::string_view line) {
  int depth = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '{') ++depth;
    if (line[i] == '}' && --depth == 0) return i;
  }
  return std::string_view::npos;
}

// A line of random pieces that such readers trip over.
std::string nasty_text(std::mt19937& random) {
  static const std::vector<std::string> kPieces = {
      "\"",
      "\\",
      "{",
      "}",
      "\n",
      "\t",
      "\r",
      "\b",
      "\f",
      "\x1f",
      "\x7f",
      "delta",
      "data",
      "object",
      "finish",
      "true",
      "action",
      "index",
      "work_id",
      "zmq_com",
      "request_id",
      "\"data\"",
      ":",
      "\\u007b",
      "\\\"",
      ",",
      "'",
      " ",
      "u0041",
      "/",
      "\xc3\xa9",
      "\xe6\x97\xa5",
      "\xf0\x9f\x8c\xb1",
      "\xe2\x80\xa8",
      std::string(1, '\0'),
      "a",
  };
  std::string text;
  for (std::size_t left = random() % 6; left > 0; --left)
    text += kPieces[random() % kPieces.size()];
  return text;
}

TEST(NaiveReaders, AgreeWithJsonParsersOnEveryLine) {
  std::mt19937 random(20260101);
  for (int round = 0; round < 50'000; ++round) {
    const bool stream = round % 2 == 0;
    const std::string text = nasty_text(random);
    Reply reply;
    reply.object = stream ? "llm.utf-8.stream" : "llm.utf-8";
    reply.data_json = stream ? stream_data(4, false, text) : json_string(text);
    reply.error = {WireCode::kModelRun, nasty_text(random)};
    reply.request_id = nasty_text(random);
    reply.work_id = nasty_text(random);
    const std::string line = serialize(reply, 1731488402);

    const JsonDocument document(line);
    ASSERT_TRUE(document.ok()) << line << document.error();
    const simdjson::dom::element root = document.root();
    const std::string_view parsed_text = stream ? root["data"]["delta"] : root["data"];
    ASSERT_EQ(parsed_text, text) << line;
    ASSERT_EQ(std::string_view(root["error"]["message"]), reply.error.message) << line;

    ASSERT_EQ(naive_string(line, stream ? "delta" : "data"), text) << line;
    ASSERT_EQ(naive_string(line, "object"), reply.object) << line;
    ASSERT_EQ(naive_string(line, "request_id"), reply.request_id) << line;
    ASSERT_EQ(naive_string(line, "work_id"), reply.work_id) << line;
    ASSERT_EQ(line.find("\"action\""), std::string::npos) << line;
    ASSERT_EQ(line.find("\"zmq_com\""), std::string::npos) << line;
    if (stream) {
      ASSERT_EQ(line.substr(line.find("\"finish\""), 14), "\"finish\":false") << line;
    } else {
      ASSERT_EQ(line.find("\"finish\""), std::string::npos) << line;
    }

    // Nothing but the final newline can be mistaken for the end of the message.
    ASSERT_EQ(line.find('\n'), line.size() - 1) << line;
    ASSERT_EQ(naive_end(line), line.size() - 2) << line;
  }
}

}  // namespace
}  // namespace protocol
