#include <algorithm>
#include <charconv>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "main_llm/commands.h"
#include "runner/error.h"
#include "runner/excerpt.h"
#include "runner/model.h"
#include "runner/text/token_decoder.h"
#include "runner/text/utf8_stream.h"

namespace main_llm {
namespace {

using runner::TokenId;

std::string read_stdin() {
  return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
}

// The bytes of a token on one line: white space and control characters escaped, and bytes that are
// only a part of a character.
std::string visible(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    const auto sequence = runner::next_utf8_sequence(bytes);
    const bool is_whole = sequence.kind == runner::Utf8Sequence::Kind::kWhole;
    for (const char byte : bytes.substr(0, sequence.bytes)) {
      const auto code = static_cast<unsigned char>(byte);
      if (byte == '\n') {
        text += "\\n";
      } else if (byte == '\t') {
        text += "\\t";
      } else if (byte == '\\') {
        text += "\\\\";
      } else if (!is_whole || code < 0x20 || code == 0x7F) {
        constexpr const char* kDigits = "0123456789ABCDEF";
        text += std::string("\\x") + kDigits[code >> 4U] + kDigits[code & 15U];
      } else {
        text += byte;
      }
    }
    bytes.remove_prefix(sequence.bytes);
  }
  return text;
}

// Whole numbers with anything else between them, so that what was printed can be read again.
std::vector<TokenId> parse_ids(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789";
  std::vector<TokenId> ids;
  for (std::size_t at = 0; (at = text.find_first_of(kDigits, at)) != std::string_view::npos;) {
    const std::size_t end = std::min(text.find_first_not_of(kDigits, at), text.size());
    TokenId id = 0;
    if (std::from_chars(text.data() + at, text.data() + end, id).ec != std::errc()) {
      throw runner::Error(runner::ErrorCode::kBadOption,
                          "\"" + runner::excerpt(text.substr(at, end - at)) + "\" is no token id");
    }
    ids.push_back(id);
    at = end;
  }
  return ids;
}

void print_tokens(const runner::BpeTokenizer& tokenizer, const std::vector<TokenId>& ids) {
  for (const TokenId id : ids) std::cout << id << '\t' << visible(tokenizer.spelling(id)) << '\n';
}

void print_id_list(const std::vector<TokenId>& ids) {
  for (std::size_t i = 0; i < ids.size(); ++i) std::cout << (i > 0 ? "," : "") << ids[i];
  std::cout << '\n';
}

std::vector<TokenId> encode(const TokenizeOptions& options, const ModelText& model,
                            const runner::PromptOptions& prompt, std::string_view text) {
  const runner::BpeTokenizer& tokenizer = *model.text.tokenizer;
  std::vector<TokenId> ids;
  const auto add = [&ids](const std::vector<TokenId>& more) {
    ids.insert(ids.end(), more.begin(), more.end());
  };
  if (options.use_template) {
    const auto encoder = model.text.new_prompt_encoder(prompt);
    add(encoder->begin(prompt.system));
    add(encoder->encode_turn(text, ""));
  } else if (options.special) {
    add(tokenizer.before());
    add(tokenizer.encode(text, runner::SpecialText::kTokens));
    add(tokenizer.after());
  } else {
    add(tokenizer.encode(text, runner::SpecialText::kOrdinary));
  }
  return ids;
}

}  // namespace

int tokenize(const TokenizeOptions& options, ModelLoader& loader) {
  const ModelText model = loader.load_text(options.model);
  const std::string input = read_stdin();
  if (options.decode) {
    const auto decoder = runner::make_token_decoder(model.text.tokenizer);
    for (const TokenId id : parse_ids(input)) std::cout << decoder->push(id);
    return 0;
  }
  const runner::PromptOptions prompt = runner::prompt_options(
      model.mode_param, options.params,
      !options.system.empty() ? options.system : model.mode_param.system_prompt.value_or(""));
  if (options.use_template && !options.ids_only) {
    std::cout << model.text.render_prompt(prompt, input);
    return 0;
  }
  const std::vector<TokenId> ids = encode(options, model, prompt, input);
  if (options.ids_only) {
    print_id_list(ids);
  } else {
    print_tokens(*model.text.tokenizer, ids);
  }
  return 0;
}

}  // namespace main_llm
