#include "main_llm/linked_input.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>

namespace main_llm {
namespace {

TEST(LinkedInput, KnowsTheUnitsToListenTo) {
  EXPECT_EQ(linked_input("asr.1001"), LinkedInput::kSpeech);
  EXPECT_EQ(linked_input("whisper.1"), LinkedInput::kSpeech);
  EXPECT_EQ(linked_input("kws.1000"), LinkedInput::kWakeWord);
  for (const char* other : {"", "asr", "kws", "tts.1", "llm.utf-8", "llm.1000", ".asr", "asrx.1"}) {
    EXPECT_EQ(linked_input(other), std::nullopt) << other;
  }
}

TEST(FinishedUtterance, IsTheTextOfTheLastMessage) {
  const std::pair<std::string, std::optional<std::string>> cases[] = {
      {R"({"object":"asr.utf-8","data":"hello","error":{"code":0,"message":""}})", "hello"},
      {R"({"object":"asr.utf-8","data":"no error field"})", "no error field"},
      {R"({"object":"asr.utf-8.stream","data":{"index":2,"finish":true,"delta":"all of it"}})",
       "all of it"},
      {R"({"object":"asr.utf-8.stream","data":{"index":1,"finish":false,"delta":"all"}})",
       std::nullopt},
      {R"({"object":"asr.utf-8.stream","data":{"index":1,"delta":"all"}})", std::nullopt},
      {R"({"object":"asr.utf-8.stream","data":"all"})", std::nullopt},
      {R"({"object":"asr.utf-8.stream","data":{"finish":true,"delta":""}})", std::nullopt},
      {R"({"object":"asr.utf-8.stream","data":{"finish":true,"delta":7}})", std::nullopt},
      {R"({"object":"asr.utf-8","data":"bad","error":{"code":-11,"message":"failed"}})",
       std::nullopt},
      {R"({"object":"asr.utf-8","data":""})", std::nullopt},
      {R"({"object":"asr.utf-8"})", std::nullopt},
      {R"([])", std::nullopt},
      {R"({"object":)", std::nullopt},
  };
  for (const auto& [message, utterance] : cases) {
    EXPECT_EQ(finished_utterance(message), utterance) << message;
  }
}

}  // namespace
}  // namespace main_llm
