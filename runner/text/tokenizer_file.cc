#include "runner/text/tokenizer_file.h"

#include <string>
#include <string_view>
#include <system_error>

#include "runner/error.h"
#include "runner/file_text.h"
#include "runner/text/sentencepiece_model.h"
#include "runner/text/tiktoken.h"
#include "runner/text/tokenizer_json.h"

namespace runner {
namespace {

BpeDefinition parse_tokenizer(const std::filesystem::path& file) {
  const std::string bytes = read_text_file(file);
  if (file.extension() == ".json") return parse_tokenizer_json(bytes);
  if (file.extension() == ".tiktoken") return parse_tiktoken(bytes);
  return parse_sentencepiece_model(bytes);
}

void add_phi3_marks(BpeDefinition& definition) {
  TokenId next = 32000;
  for (const char* text : {"<|endoftext|>", "<|assistant|>", "<|placeholder1|>", "<|placeholder2|>",
                           "<|placeholder3|>", "<|placeholder4|>", "<|system|>", "<|end|>",
                           "<|placeholder5|>", "<|placeholder6|>", "<|user|>"}) {
    const bool is_mark = next != 32000;
    definition.added_tokens.push_back(
        {.id = next++, .text = text, .special = true, .rstrip = is_mark});
  }
}

template <typename Change>
std::shared_ptr<const BpeTokenizer> load_changed(const std::filesystem::path& file,
                                                 const Change& change) {
  try {
    BpeDefinition definition = parse_tokenizer(file);
    change(definition);
    return std::make_shared<const BpeTokenizer>(definition);
  } catch (const Error& error) {
    std::string_view what = error.what();
    if (what.starts_with(file.string())) throw;
    const std::string name = file.filename().string() + ": ";  // what most messages begin with
    if (what.starts_with(name)) what.remove_prefix(name.size());
    throw Error(error.code(), file.string() + ": " + std::string(what));
  }
}

}  // namespace

std::shared_ptr<const BpeTokenizer> load_tokenizer(const std::filesystem::path& file) {
  return load_changed(file, [](BpeDefinition&) {});
}

std::shared_ptr<const BpeTokenizer> load_phi3_tokenizer(const std::filesystem::path& file) {
  return load_changed(file, [](BpeDefinition& definition) {
    // A tokenizer.json has them.
    if (definition.ranks.empty()) return;
    add_phi3_marks(definition);
  });
}

bool is_tokenizer_file(int tokenizer_type) { return tokenizer_type != 2 && tokenizer_type != 5; }

std::filesystem::path find_tokenizer_file(const std::filesystem::path& directory) {
  for (const char* name : {"tokenizer.json", "tokenizer.model", "qwen.tiktoken"}) {
    std::error_code error;
    if (std::filesystem::exists(directory / name, error)) return directory / name;
  }
  return directory / "tokenizer.json";
}

}  // namespace runner
