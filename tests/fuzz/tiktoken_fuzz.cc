// Feeds any bytes to the reader of tiktoken files. Besides not crashing, a broken file may only be
// answered with runner::Error; a good one makes a tokenizer that gives text back as it was.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "runner/error.h"
#include "runner/text/bpe_tokenizer.h"
#include "runner/text/tiktoken.h"

namespace {

using namespace runner;

void check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  // Every byte has a token here, so that most of what is made up becomes a tokenizer.
  static const std::string all_bytes = [] {
    constexpr std::string_view kAlphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string file;
    for (unsigned byte = 0; byte < 256; ++byte) {
      file += {kAlphabet[byte >> 2U], kAlphabet[(byte & 3U) << 4U], '=', '=', ' '};
      file += std::to_string(byte) + '\n';
    }
    return file;
  }();
  const std::string_view input(reinterpret_cast<const char*>(data), bytes);
  for (const std::string& file : {std::string(input), all_bytes + std::string(input)}) {
    try {
      const BpeTokenizer tokenizer(parse_tiktoken(file));
      for (const char* text : {"", " Hello  wörld\n\n12345", "<|im_end|>はが<think> \t"}) {
        std::string decoded;
        for (const TokenId id : tokenizer.encode(text, SpecialText::kOrdinary)) {
          check(!tokenizer.is_special(id), "text became a special token");
          decoded += tokenizer.bytes(id);
        }
        check(decoded == text, "text does not come back as it was");
      }
    } catch (const Error&) {
      // What a broken file is to give.
    }
  }
  return 0;
}
