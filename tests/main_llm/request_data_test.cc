#include "main_llm/request_data.h"

#include <gtest/gtest.h>

#include "protocol/base64.h"
#include "runner/error.h"

namespace main_llm {
namespace {

using protocol::DataKind;
using protocol::Request;
using protocol::WireCode;

Request with_object(std::string data) {
  return {"1", "llm", "setup", "llm.setup", DataKind::kObject, std::move(data)};
}

WireCode code_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const protocol::Error& error) {
    return error.code();
  } catch (const runner::Error& error) {
    return error.code() == runner::ErrorCode::kBadSoftPrefix ? WireCode::kSoftPrefix
                                                             : WireCode::kModelLoading;
  }
  return WireCode::kOk;
}

TEST(ParseSetup, DefaultsWhereNothingIsSaid) {
  for (const char* data :
       {R"({"model":"m"})",
        R"({"model":"m","response_format":null,"input":null,"enoutput":null,"prompt":null,
            "seed":null,"max_token_len":null,"soft_prefix":null,"enkws":true})"}) {
    const SetupRequest setup = parse_setup(with_object(data));
    EXPECT_EQ(setup.model, "m");
    EXPECT_EQ(setup.response_format, "llm.utf-8");
    EXPECT_EQ(setup.inputs, std::vector<std::string>{"llm.utf-8"});
    EXPECT_TRUE(setup.enoutput);
    EXPECT_EQ(setup.prompt, "");
    EXPECT_FALSE(setup.seed);
    EXPECT_FALSE(setup.params.max_token_len);
    EXPECT_FALSE(setup.soft_prefix);
  }
}

TEST(ParseSetup, TakesAStringThatHoldsAnObject) {
  Request request = with_object(R"({"model":"m","input":["a","b"],"seed":-1})");
  request.data_kind = DataKind::kString;
  const SetupRequest setup = parse_setup(request);
  EXPECT_EQ(setup.inputs.size(), 2U);
  EXPECT_EQ(setup.seed, ~std::uint64_t{0});
}

TEST(ParseSetup, RefusesWhatIsNoObjectAndWrongTypes) {
  for (const DataKind kind : {DataKind::kAbsent, DataKind::kNull}) {
    EXPECT_EQ(code_of([&] {
                parse_setup({"1", "llm", "setup", "", kind, ""});
              }),
              WireCode::kJsonFormat);
  }
  EXPECT_EQ(code_of([] {
              parse_setup({"1", "llm", "setup", "", DataKind::kOther, "[1]"});
            }),
            WireCode::kJsonFormat);
  for (const char* text : {"hello", "[]", "{", "{\"model\":\"\\ud800\"}"}) {
    EXPECT_EQ(code_of([&] {
                parse_setup({"1", "llm", "setup", "", DataKind::kString, text});
              }),
              WireCode::kJsonFormat)
        << text;
  }
  for (const char* data :
       {R"({})", R"({"model":null})", R"({"model":1})", R"({"model":"m","response_format":1})",
        R"({"model":"m","response_format":"llm.utf8"})", R"({"model":"m","input":1})",
        R"({"model":"m","input":["a",1]})", R"({"model":"m","enoutput":"yes"})",
        R"({"model":"m","prompt":[]})", R"({"model":"m","seed":1.5})",
        R"({"model":"m","max_token_len":"64"})", R"({"model":"m","temperature":"0.7"})"}) {
    EXPECT_EQ(code_of([&] {
                try {
                  parse_setup(with_object(data));
                } catch (const runner::Error&) {
                  throw protocol::Error(WireCode::kModelLoading, "");
                }
              }),
              WireCode::kModelLoading)
        << data;
  }
}

// One row of two values: 1.0 (0x3f80) and -2.0 (0xc000).
const std::string kRow = protocol::base64_encode(std::string("\x80\x3f\x00\xc0", 4));

TEST(ParseSoftPrefix, ReadsRowsAndScale) {
  const auto prefix = parse_soft_prefix(R"({"len":1,"data_b64":")" + kRow + R"("})", 2);
  ASSERT_TRUE(prefix);
  EXPECT_EQ(prefix->rows(), 1);
  EXPECT_EQ(runner::to_float(prefix->view().row(0)[1]), -2.0F);
  const auto scaled = parse_soft_prefix(R"({"len":1,"data_b64":")" + kRow + R"(","scale":0.5})", 2);
  EXPECT_EQ(runner::to_float(scaled->view().row(0)[1]), -1.0F);
  EXPECT_EQ(parse_soft_prefix("null", 2), nullptr);
}

TEST(ParseSoftPrefix, RefusesEverythingElseNamingIt) {
  const struct {
    std::string json;
    const char* complaint;
  } cases[] = {
      {"[]", "expected an object"},
      {"\"x\"", "expected an object"},
      {R"({"data_b64":")" + kRow + "\"}", "\"len\" is missing"},
      {R"({"len":1})", "\"data_b64\" is missing"},
      {R"({"len":"1","data_b64":")" + kRow + "\"}", "\"len\" is \"1\", expected an integer"},
      {R"({"len":1.0,"data_b64":")" + kRow + "\"}", "expected an integer"},
      {R"({"len":0,"data_b64":""})", "at least 1"},
      {R"({"len":-1,"data_b64":")" + kRow + "\"}", "at least 1"},
      {R"({"len":9223372036854775807,"data_b64":")" + kRow + "\"}", "got 4 bytes"},
      {R"({"len":18446744073709551615,"data_b64":")" + kRow + "\"}", "expected an integer"},
      {R"({"len":2,"data_b64":")" + kRow + "\"}", "got 4 bytes, need"},
      {R"({"len":1,"data_b64":7})", "\"data_b64\" is not a string"},
      {R"({"len":1,"data_b64":"?"})", "not base64"},
      {R"({"len":1,"data_b64":")" + protocol::base64_encode(std::string("\x80\x3f\x80\x7f", 4)) +
           "\"}",
       "column 1"},
      {R"({"len":1,"data_b64":")" + kRow + R"(","scale":"x"})", "\"scale\" is not a number"},
      {R"({"len":1,"data_b64":")" + kRow + R"(","scale":1e39})", ""},
      {R"({"name":"poet"})", "no stored prefix \"poet\""},
      {R"({"name":1})", "\"name\" is not a string"},
  };
  for (const auto& [json, complaint] : cases) {
    try {
      parse_soft_prefix(json, 2);
      ADD_FAILURE() << json;
    } catch (const runner::Error& error) {
      EXPECT_EQ(error.code(), runner::ErrorCode::kBadSoftPrefix);
      EXPECT_NE(std::string(error.what()).find(complaint), std::string::npos) << error.what();
    }
  }
}

TEST(ParseWholeInput, TakesTextOrAnObjectWithText) {
  EXPECT_EQ(parse_whole_input({"1", "llm.1", "inference", "", DataKind::kString, "hi"}).text, "hi");
  const InferenceInput input = parse_whole_input(
      {"1", "llm.1", "inference", "", DataKind::kObject, R"({"text":"hi","soft_prefix":null})"});
  EXPECT_EQ(input.text, "hi");
  EXPECT_EQ(input.soft_prefix, "null");
  for (const auto& [kind, data] : {std::pair{DataKind::kAbsent, ""},
                                   {DataKind::kNull, ""},
                                   {DataKind::kOther, "7"},
                                   {DataKind::kObject, "{}"},
                                   {DataKind::kObject, R"({"text":7})"}}) {
    EXPECT_EQ(code_of([&, kind = kind, data = data] {
                parse_whole_input({"1", "llm.1", "inference", "", kind, data});
              }),
              WireCode::kModelRun)
        << data;
  }
}

TEST(DecodeInputText, UndoesBase64AndRefusesEmptyText) {
  EXPECT_EQ(decode_input_text("aGk=", "llm.utf-8.base64"), "hi");
  EXPECT_EQ(decode_input_text("aGk=", "llm.utf-8"), "aGk=");
  EXPECT_EQ(code_of([] { decode_input_text("aGk", "llm.utf-8.base64"); }), WireCode::kBase64);
  EXPECT_EQ(code_of([] { decode_input_text("/w==", "llm.utf-8.base64"); }), WireCode::kBase64);
  EXPECT_EQ(code_of([] { decode_input_text("", "llm.utf-8"); }), WireCode::kModelRun);
  EXPECT_EQ(code_of([] { decode_input_text("", "llm.utf-8.base64"); }), WireCode::kModelRun);
}

}  // namespace
}  // namespace main_llm
