#include "runner/tokenizer_file.h"

#include <string>
#include <string_view>
#include <system_error>

#include "runner/error.h"
#include "runner/file_text.h"
#include "runner/sentencepiece_model.h"
#include "runner/tiktoken.h"
#include "runner/tokenizer_json.h"

namespace runner {
namespace {

BpeDefinition parse_tokenizer(const std::filesystem::path& file) {
  const std::string bytes = read_text_file(file);
  if (file.extension() == ".json") return parse_tokenizer_json(bytes);
  if (file.extension() == ".tiktoken") return parse_tiktoken(bytes);
  return parse_sentencepiece_model(bytes);
}

}  // namespace

std::shared_ptr<const BpeTokenizer> load_tokenizer(const std::filesystem::path& file) {
  try {
    return std::make_shared<const BpeTokenizer>(parse_tokenizer(file));
  } catch (const Error& error) {
    std::string_view what = error.what();
    if (what.starts_with(file.string())) throw;
    const std::string name = file.filename().string() + ": ";  // what most messages begin with
    if (what.starts_with(name)) what.remove_prefix(name.size());
    throw Error(error.code(), file.string() + ": " + std::string(what));
  }
}

std::filesystem::path find_tokenizer_file(const std::filesystem::path& directory) {
  for (const char* name : {"tokenizer.json", "tokenizer.model", "qwen.tiktoken"}) {
    std::error_code error;
    if (std::filesystem::exists(directory / name, error)) return directory / name;
  }
  return directory / "tokenizer.json";
}

}  // namespace runner
