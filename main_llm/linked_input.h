#pragma once

#include <optional>
#include <string>
#include <string_view>

// Outputs of other units as inputs of a task.
namespace main_llm {

enum class LinkedInput {
  kSpeech,    // asr, whisper: what was said starts an inference
  kWakeWord,  // kws: stops the running inference
};

// What a task of that work_id ("asr.1001") is good for; nullopt for other units.
std::optional<LinkedInput> linked_input(std::string_view work_id);

// What was said, if a message of a speech unit (a reply-shaped JSON line) ends an utterance: the
// delta of a stream's last frame, or the data of a whole reply. nullopt for messages between,
// errors, silence, and what is no such message.
std::optional<std::string> finished_utterance(std::string_view message);

}  // namespace main_llm
