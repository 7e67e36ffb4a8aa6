#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runner/text/chat_format.h"

namespace runner {

// A model family's way of writing conversations, for models that bring no template, or one that
// cannot be followed.
struct ChatFamily {
  std::string name;
  ChatFormat format;
  // With enable_thinking true and false; the same as `format` where there is no such switch.
  ChatFormat thinking;
  ChatFormat plain;
  // The token without which it cannot be this family; empty where its marks are ordinary text.
  std::string token;
};

// Stands around a strftime() format in an opening, where the local date is to be written.
inline constexpr char kDateMark = '\x02';

// All families; TinyLlama's texts end with `eos_token`. Facts: the templates in the models'
// tokenizer_config.json.
std::vector<ChatFamily> chat_families(std::string_view eos_token);

// The family that StackFlow's `tokenizer_type` stands for where a model folder has no template;
// empty for types that say nothing about it.
std::string_view family_of_tokenizer_type(int tokenizer_type);

}  // namespace runner
