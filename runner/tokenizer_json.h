#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runner/engine.h"
#include "runner/pretokenizer.h"

namespace runner {

// A token outside the BPE vocabulary: matched in the text before anything else happens to it.
struct AddedToken {
  TokenId id = 0;
  std::string text;         // not empty
  bool special = false;     // a control token: never shown, never made of user text
  bool lstrip = false;      // takes white space before it along
  bool rstrip = false;      // takes white space after it along
  bool normalized = false;  // looked for after normalization, else before
};

// What a byte-level BPE tokenizer.json says. Tokens are spelled in GPT-2's byte alphabet: one
// printable character stands for each byte (byte_alphabet.h).
struct TokenizerJson {
  std::vector<std::pair<std::string, TokenId>> vocabulary;
  std::vector<std::pair<std::string, std::string>> merges;  // best first
  bool ignore_merges = false;  // a piece that is a token is that token, whatever the merges say
  std::vector<AddedToken> added_tokens;
  bool nfc = false;  // text is normalized to form C
  std::vector<SplitRule> splits;
  bool prefix_space = false;  // a text that starts without a space is given one
};

// Reads the text of a tokenizer.json. Throws Error(kBadModel) naming the key that is missing, of
// a wrong type, or names a component other than those above, with those that are supported.
TokenizerJson parse_tokenizer_json(std::string_view json);

// Throws Error(kBadModel): "tokenizer.json: " and what is wrong with it.
[[noreturn]] void refuse_tokenizer(const std::string& what);

}  // namespace runner
