#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "protocol/zmq_host.h"
#include "protocol/zmq_rpc.h"

namespace protocol {
namespace {

using namespace std::string_literals;

TEST(RpcRequest, IsAUrlAndTheRest) {
  const auto request = parse_rpc_request("\x05"s + "ipc:a" + R"({"x":1})");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->reply_url, "ipc:a");
  EXPECT_EQ(request->json, R"({"x":1})");
}

TEST(RpcRequest, LengthIsUnsigned) {
  const std::string url(200, 'u');
  const auto request = parse_rpc_request("\xc8"s + url);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->reply_url, url);
  EXPECT_EQ(request->json, "");
}

TEST(RpcRequest, OtherShapesAreNone) {
  for (const std::string& payload : {""s, "\x00{}"s, "\x01"s, "\xff too short"s, "{}"s}) {
    EXPECT_FALSE(parse_rpc_request(payload)) << payload;
  }
}

TEST(RpcRegistration, HasNoLengthBeforeTheLastUrl) {
  const auto allotted = parse_rpc_registration("\x04"s + "1000" + "\x03" + "out" + "inference");
  ASSERT_TRUE(allotted);
  EXPECT_EQ(allotted->number, "1000");
  EXPECT_EQ(allotted->output_url, "out");
  EXPECT_EQ(allotted->inference_url, "inference");
  for (const std::string& payload : {""s, "\x04"s + "1000", "\x04"s + "1000" + "\x03" + "out"}) {
    EXPECT_FALSE(parse_rpc_registration(payload)) << payload;
  }
}

TEST(PublishedRequest, HasTheReplyUrlInFront) {
  const auto request = parse_published_request(R"({"zmq_com":"ipc://x","request_id":"1"})");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->reply_url, "ipc://x");
  EXPECT_EQ(request->json, R"({"request_id":"1"})");
}

TEST(PublishedRequest, NeedNotBeJson) {
  const auto request = parse_published_request("{\"zmq_com\":\"ipc://x\",\xff");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->json, "{\xff");
}

TEST(PublishedRequest, OthersAreNone) {
  for (const std::string message :
       {"", "{}", R"({"request_id":"1","zmq_com":"ipc://x"})", R"({"zmq_com":"ipc://x)"}) {
    EXPECT_FALSE(parse_published_request(message)) << message;
  }
}

}  // namespace
}  // namespace protocol
