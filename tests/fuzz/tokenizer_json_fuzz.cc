// Feeds any bytes to a tokenizer twice: as its tokenizer.json, and as text to encode with a good
// one. Besides not crashing, a broken file may
// only be answered with runner::Error, and text must come back as it was.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "runner/error.h"
#include "runner/text/bpe_tokenizer.h"
#include "runner/text/byte_alphabet.h"
#include "runner/text/nfc.h"
#include "runner/text/tokenizer_json.h"
#include "runner/text/utf8_stream.h"

namespace {

using namespace runner;

void check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

BpeTokenizer good_tokenizer() {
  BpeDefinition json;
  for (unsigned byte = 0; byte < 256; ++byte) {
    json.vocabulary.emplace_back(byte_symbol(static_cast<std::uint8_t>(byte)),
                                 static_cast<TokenId>(byte));
  }
  TokenId next = 256;
  for (const auto& [left, right] : {std::pair("a", "b"), {"ab", "ab"}, {"Ġ", "Ġ"}, {"ã", "ģ"}}) {
    json.vocabulary.emplace_back(std::string(left) + right, next++);
    json.merges.emplace_back(left, right);
  }
  json.added_tokens.push_back({.id = next, .text = "<|im_end|>", .special = true});
  json.normalizers.emplace_back(ComposeNfc{});
  json.splits.push_back({R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|\s+(?!\S)|\s+)"});
  return BpeTokenizer(json);
}

void read_tokenizer(std::string_view bytes) {
  try {
    const BpeTokenizer tokenizer(parse_tokenizer_json(bytes));
    for (const char* text : {"", " Hello  wörld\n\n12345", "<|im_end|>は\u3099が<think> \t"}) {
      for (const auto special : {SpecialText::kOrdinary, SpecialText::kTokens}) {
        for (const TokenId id : tokenizer.encode(text, special)) {
          check(id >= 0 && id < tokenizer.vocab(), "an id is no token");
        }
      }
    }
  } catch (const Error&) {
    // What a broken file is to give.
  }
}

void encode_text(std::string_view bytes) {
  static const BpeTokenizer tokenizer = good_tokenizer();
  std::string decoded;
  Utf8Stream stream;
  for (const TokenId id : tokenizer.encode(bytes, SpecialText::kOrdinary)) {
    check(!tokenizer.is_special(id), "text became a special token");
    std::string delta;
    stream.push(tokenizer.bytes(id), delta);
    check(is_valid_utf8(delta), "a delta ends inside a character");
    decoded += delta;
  }
  check(decoded == to_nfc(to_valid_utf8(bytes)), "text does not come back as it was");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  const std::string_view input(reinterpret_cast<const char*>(data), bytes);
  read_tokenizer(input);
  encode_text(input);
  return 0;
}
