#include "runner/npu/npu_description.h"

#include <simdjson.h>

#include <string_view>
#include <utility>

#include "runner/error.h"
#include "runner/excerpt.h"
#include "runner/file_text.h"
#include "runner/text/tokenizer_file.h"

namespace runner {
namespace {

namespace fs = std::filesystem;

class DescriptionReader {
 public:
  DescriptionReader(const std::string& json, const fs::path& source) : source_(source) {
    if (parser_.parse(simdjson::padded_string(json))["mode_param"].get(params_)) {
      fail("\"mode_param\" is missing");
    }
  }

  std::string text(std::string_view key, bool needed) const {
    std::string_view value;
    simdjson::dom::element element;
    if (params_.at_key(key).get(element) || element.is_null()) {
      if (needed) fail("\"" + std::string(key) + "\" is missing");
      return "";
    }
    if (element.get(value)) bad(key, element, "a string");
    return std::string(value);
  }

  fs::path file(std::string_view key) const {
    const std::string name = text(key, true);
    const fs::path path(name);
    if (name.empty() || path.is_absolute() || name.find('\0') != std::string::npos) {
      fail("\"" + std::string(key) + "\" is not the name of a file in the model's folder");
    }
    for (const fs::path& part : path) {
      if (part == "..") fail("\"" + std::string(key) + "\" leads out of the model's folder");
    }
    return path;
  }

  int number(std::string_view key, int least, int most) const {
    simdjson::dom::element element;
    if (params_.at_key(key).get(element)) fail("\"" + std::string(key) + "\" is missing");
    std::int64_t value = 0;
    if (element.get(value) || value < least || value > most) {
      bad(key, element, "a number from " + std::to_string(least) + " to " + std::to_string(most));
    }
    return static_cast<int>(value);
  }

  bool flag(std::string_view key) const {
    simdjson::dom::element element;
    if (params_.at_key(key).get(element) || element.is_null()) return false;
    bool value = false;
    if (element.get(value)) bad(key, element, "true or false");
    return value;
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::kBadModel, source_.string() + ": " + what);
  }

 private:
  [[noreturn]] void bad(std::string_view key, simdjson::dom::element value,
                        const std::string& expected) const {
    fail("\"" + std::string(key) + "\" is " + excerpt(simdjson::minify(value)) + ", expected " +
         expected);
  }

  const fs::path& source_;
  simdjson::dom::parser parser_;
  simdjson::dom::object params_;
};

std::vector<fs::path> layer_files(const DescriptionReader& reader, const fs::path& directory) {
  const std::string pattern = reader.file("template_filename_axmodel").string();
  std::vector<fs::path> files;
  for (const std::string& name : layer_names(pattern, reader.number("axmodel_num", 1, 1000))) {
    files.push_back(directory / name);
  }
  if (files.empty()) {
    reader.fail("\"template_filename_axmodel\" is \"" + pattern +
                "\", expected a %d for the number of the layer");
  }
  return files;
}

}  // namespace

std::vector<std::string> layer_names(const std::string& pattern, int layers) {
  const std::size_t place = pattern.find("%d");
  if (place == std::string::npos) return {};
  std::vector<std::string> names;
  for (int layer = 0; layer < layers; ++layer) {
    names.push_back(pattern.substr(0, place) + std::to_string(layer) + pattern.substr(place + 2));
  }
  return names;
}

NpuDescription read_npu_description(const fs::path& directory, const std::string& mode_json,
                                    const fs::path& source) {
  const DescriptionReader reader(mode_json, source);
  NpuDescription description;
  description.graphs.layers = layer_files(reader, directory);
  description.graphs.post = directory / reader.file("filename_post_axmodel");
  description.graphs.hidden = reader.number("tokens_embed_size", 1, 1 << 20);
  description.graphs.vocab = reader.number("tokens_embed_num", 1, 1 << 24);
  description.graphs.load_layers_on_demand = reader.flag("b_dynamic_load_axmodel_layer");
  description.embeddings = directory / reader.file("filename_tokens_embed");
  description.adds_eos_to_prompt = reader.flag("b_eos");
  description.tokenizer_type = reader.number("tokenizer_type", 0, 5);
  if (is_tokenizer_file(description.tokenizer_type)) {
    description.tokenizer = reader.file("filename_tokenizer_model").string();
    return description;
  }
  description.tokenizer = reader.text("filename_tokenizer_model", false);
  if (description.tokenizer.empty()) {
    description.tokenizer = reader.text("url_tokenizer_model", false);
    description.tokenizer_keeps_conversation = !description.tokenizer.empty();
  }
  return description;
}

std::shared_ptr<const EmbeddingTable> map_embeddings(const fs::path& path, int vocab, int hidden) {
  auto file = std::make_shared<const MappedFile>(path);
  const auto bytes = file->bytes();
  if (is_git_lfs_pointer({reinterpret_cast<const char*>(bytes.data()), bytes.size()})) {
    throw Error(ErrorCode::kBadModel, path.string() + ": " + kIsGitLfsPointer);
  }
  const std::size_t values = static_cast<std::size_t>(vocab) * static_cast<std::size_t>(hidden);
  if (bytes.size() != values * sizeof(Bf16)) {
    throw Error(ErrorCode::kBadModel,
                path.string() + ": has " + std::to_string(bytes.size()) + " bytes, expected " +
                    std::to_string(values * sizeof(Bf16)) + " for tokens_embed_num " +
                    std::to_string(vocab) + " and tokens_embed_size " + std::to_string(hidden));
  }
  const std::span<const Bf16> rows(reinterpret_cast<const Bf16*>(bytes.data()), values);
  return std::make_shared<const EmbeddingTable>(std::move(file), rows, hidden);
}

}  // namespace runner
