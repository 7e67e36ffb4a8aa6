// What the tokenizer of a file makes of texts, for comparisons with other implementations.
//
//   text_probe TOKENIZER [--special] < TEXTS > IDS
//   text_probe TOKENIZER --decode < IDS > TEXTS
//
// TOKENIZER is a tokenizer.json or the folder of one, a FILE.model (SentencePiece) or a
// FILE.tiktoken. TEXTS is a JSON array of strings, IDS one of arrays of numbers. With --special,
// text that spells a special token becomes it. Decoding is done token by token, as for an answer,
// and fails where a token's text ends inside a character.
#include <simdjson.h>

#include <cstdio>
#include <exception>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "runner/text/bpe_tokenizer.h"
#include "runner/text/token_decoder.h"
#include "runner/text/tokenizer_file.h"
#include "runner/text/utf8_stream.h"

namespace {

using namespace runner;
using Rows = simdjson::dom::array;

void print_ids(const BpeTokenizer& tokenizer, const Rows& texts, SpecialText special) {
  std::cout << '[';
  const char* before_row = "\n";
  for (const auto text : texts) {
    std::cout << before_row << '[';
    const char* before_id = "";
    for (const TokenId id : tokenizer.encode(std::string_view(text), special)) {
      std::cout << before_id << id;
      before_id = ",";
    }
    std::cout << ']';
    before_row = ",\n";
  }
  std::cout << "\n]\n";
}

std::string decode(const std::shared_ptr<const BpeTokenizer>& tokenizer, const Rows& ids) {
  const auto decoder = make_token_decoder(tokenizer);
  std::string text;
  for (const auto id : ids) {
    const std::string delta = decoder->push(static_cast<TokenId>(std::int64_t(id)));
    if (!is_valid_utf8(delta)) {
      throw std::runtime_error("the text of token " + std::to_string(std::int64_t(id)) +
                               " ends inside a character");
    }
    text += delta;
  }
  return text;
}

std::string json_string(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || c == '"' || c == '\\') {
      constexpr std::string_view kHex = "0123456789abcdef";
      result += "\\u00";
      result += {kHex[byte / 16U], kHex[byte % 16U]};
    } else {
      result += c;
    }
  }
  return result + '"';
}

void print_texts(const std::shared_ptr<const BpeTokenizer>& tokenizer, const Rows& rows) {
  std::cout << '[';
  const char* before_row = "\n";
  for (const auto row : rows) {
    std::cout << before_row << json_string(decode(tokenizer, row));
    before_row = ",\n";
  }
  std::cout << "\n]\n";
}

int run(int argc, char** argv) {
  const std::string_view option = argc > 2 ? argv[2] : "";
  if (argc < 2 || argc > 3 || (option != "" && option != "--special" && option != "--decode")) {
    std::cerr << "usage: text_probe TOKENIZER [--special|--decode]\n";
    return 2;
  }
  std::filesystem::path file = argv[1];
  if (std::filesystem::is_directory(file)) file = find_tokenizer_file(file);
  const std::shared_ptr<const BpeTokenizer> tokenizer = load_tokenizer(file);

  const std::string input{std::istreambuf_iterator<char>(std::cin), {}};
  simdjson::dom::parser parser;
  const Rows rows = parser.parse(input);
  if (option == "--decode") {
    print_texts(tokenizer, rows);
  } else {
    print_ids(*tokenizer, rows,
              option == "--special" ? SpecialText::kTokens : SpecialText::kOrdinary);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "text_probe: " << error.what() << '\n';
    return 1;
  }
}
