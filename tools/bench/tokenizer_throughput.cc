// Encodes and decodes texts when told to and says how long it took; tokenizer_throughput.py tells.
//
//   tokenizer_throughput TOKENIZER_JSON TEXTS
//
// TEXTS is a file {KIND: [text, ...]}. Each line of standard input, `encode KIND` or `decode KIND`,
// is answered with the seconds of processor time and the tokens of all texts of a kind.
#include <simdjson.h>

#include <cstddef>
#include <ctime>
#include <exception>
#include <iostream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "runner/file_text.h"
#include "runner/text/bpe_tokenizer.h"
#include "runner/text/token_decoder.h"
#include "runner/text/tokenizer_json.h"

namespace {

using namespace runner;

struct Texts {
  std::vector<std::string> texts;
  std::vector<std::vector<TokenId>> ids;
};

using Kinds = std::map<std::string, Texts, std::less<>>;

Kinds read_texts(const char* file, const BpeTokenizer& tokenizer) {
  simdjson::dom::parser parser;
  Kinds kinds;
  for (const auto [kind, texts] : simdjson::dom::object(parser.load(file))) {
    Texts& of_kind = kinds[std::string(kind)];
    for (const auto text : simdjson::dom::array(texts)) {
      of_kind.texts.emplace_back(std::string_view(text));
      of_kind.ids.push_back(tokenizer.encode(of_kind.texts.back(), SpecialText::kTokens));
    }
  }
  return kinds;
}

std::size_t encode(const BpeTokenizer& tokenizer, const Texts& kind) {
  std::size_t tokens = 0;
  for (const std::string& text : kind.texts) {
    tokens += tokenizer.encode(text, SpecialText::kTokens).size();
  }
  return tokens;
}

// As for an answer: token by token.
std::size_t decode(const std::shared_ptr<const BpeTokenizer>& tokenizer, const Texts& kind) {
  std::size_t tokens = 0;
  for (const std::vector<TokenId>& ids : kind.ids) {
    const auto decoder = make_token_decoder(tokenizer);
    std::string text;
    for (const TokenId id : ids) text += decoder->push(id);
    if (text.empty()) throw std::runtime_error("tokens without a text");
    tokens += ids.size();
  }
  return tokens;
}

void serve(const std::shared_ptr<const BpeTokenizer>& tokenizer, const Kinds& kinds) {
  std::string line;
  while (std::getline(std::cin, line)) {
    const Texts& kind = kinds.at(line.substr(line.find(' ') + 1));
    const std::clock_t start = std::clock();
    const std::size_t tokens =
        line.starts_with("encode ") ? encode(*tokenizer, kind) : decode(tokenizer, kind);
    const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    std::cout << seconds << ' ' << tokens << std::endl;
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 3) throw std::runtime_error("usage: tokenizer_throughput TOKENIZER_JSON TEXTS");
    const auto tokenizer =
        std::make_shared<const BpeTokenizer>(parse_tokenizer_json(read_text_file(argv[1])));
    serve(tokenizer, read_texts(argv[2], *tokenizer));
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "tokenizer_throughput: " << error.what() << '\n';
    return 1;
  }
}
