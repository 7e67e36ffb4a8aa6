#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runner/engine.h"
#include "runner/text/pretokenizer.h"
#include "runner/text/text_rewriter.h"

namespace runner {

// A token outside the BPE vocabulary: matched in the text before anything else happens to it.
struct AddedToken {
  TokenId id = 0;
  std::string text;      // not empty
  bool special = false;  // a control token: never shown, never made of text from outside
  bool lstrip = false;   // takes white space before it along
  bool rstrip = false;   // takes white space after it along
  bool normalized =
      false;  // looked for after normalization, else before; special ones always before
  bool single_word = false;  // not within a word
  bool verbatim = false;     // with normalized: looked for as it is, not as normalizing leaves it
};

// A byte-pair encoding as the three kinds of file that hold one describe it: tokenizer.json
// (tokenizer_json.h), tiktoken (tiktoken.h) and SentencePiece (sentencepiece_model.h).
struct BpeDefinition {
  // What tokens are spelled in, which is what a text is cut into before merging begins.
  enum class Symbols {
    kByteAlphabet,  // GPT-2's characters for bytes (byte_alphabet.h)
    kBytes,         // bytes as they are
    kCharacters,    // code points; a space is U+2581
  };
  static constexpr std::uint32_t kNoRank = UINT32_MAX;

  std::string source;  // the kind of file, in front of error messages: "tokenizer.json"
  Symbols symbols = Symbols::kByteAlphabet;
  std::vector<std::pair<std::string, TokenId>> vocabulary;

  // Which tokens merge: pairs, best first, or else ranks by place in `vocabulary`, and then any two
  // tokens merge that together are spelled like a token with a rank; lower ranks go first.
  std::vector<std::pair<std::string, std::string>> merges;
  std::vector<std::uint32_t> ranks;
  bool ignore_merges = false;  // a piece that is a token is that token, whatever the merges say

  // With kCharacters: a character without a token becomes tokens "<0x00>" … "<0xFF>", one for each
  // byte, or else `unknown`, where fuse_unknown one for all such characters side by side.
  bool byte_fallback = false;
  std::optional<TokenId> unknown;
  bool fuse_unknown = false;

  std::vector<AddedToken> added_tokens;
  std::vector<TextRewrite> normalizers;  // before normalized added tokens are looked for
  std::vector<TextRewrite> rewrites;     // after that, before `splits`
  std::vector<SplitRule> splits;

  bool drops_first_space = false;  // of a decoded text
  // What a single text stands between when special tokens are asked for ("<s>" … ).
  std::vector<TokenId> before;
  std::vector<TokenId> after;
  std::optional<TokenId> end_of_text;  // where the file itself says which token ends a text
};

}  // namespace runner
