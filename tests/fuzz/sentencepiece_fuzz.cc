// Feeds any bytes to the reader of SentencePiece models, and to that of their tables of
// replacements alone. Besides not crashing, a broken file may only be answered with runner::Error;
// a good one makes a tokenizer that gives tokens for any text, and text for any tokens.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "runner/error.h"
#include "runner/text/bpe_tokenizer.h"
#include "runner/text/chars_map.h"
#include "runner/text/sentencepiece_model.h"
#include "runner/text/token_decoder.h"
#include "runner/text/utf8_stream.h"

namespace {

using namespace runner;

constexpr const char* kTexts[] = {"", "  Hello  wörld\n\n12345 ",
                                  "<s></s>は\u3099が ﾃﾞｽ①ＡＢ\u2581\t"};

void check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

void read_model(std::string_view bytes) {
  const auto tokenizer = std::make_shared<BpeTokenizer>(parse_sentencepiece_model(bytes));
  for (const char* text : kTexts) {
    for (const auto special : {SpecialText::kOrdinary, SpecialText::kTokens}) {
      const auto decoder = make_token_decoder(tokenizer);
      for (const TokenId id : tokenizer->encode(text, special)) {
        check(id >= 0 && id < tokenizer->vocab(), "an id is no token");
        check(is_valid_utf8(decoder->push(id)), "a delta ends inside a character");
      }
    }
  }
}

void read_chars_map(std::string_view bytes) {
  const CharsMap map(bytes, {"ö"});
  for (const char* text : kTexts) check(is_valid_utf8(map.rewrite(text)), "text is not UTF-8");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  const std::string_view input(reinterpret_cast<const char*>(data), bytes);
  for (const auto read : {read_model, read_chars_map}) {
    try {
      read(input);
    } catch (const Error&) {
      // What a broken file is to give.
    }
  }
  return 0;
}
