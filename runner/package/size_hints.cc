#include "runner/package/size_hints.h"

#include <simdjson.h>

#include <charconv>
#include <cstdint>
#include <string_view>
#include <utility>

#include "runner/error.h"
#include "runner/file_text.h"
#include "runner/model_directory.h"
#include "runner/package/folder_listing.h"

namespace runner {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostScriptBytes = std::size_t{1} << 20U;
constexpr int kMostSize = 1 << 24;  // of any of these; what is more is no such thing

int positive_member(simdjson::dom::object object, std::string_view key) {
  std::int64_t value = 0;
  const bool is_size = !object.at_key(key).get(value) && value > 0 && value <= kMostSize;
  return is_size ? static_cast<int>(value) : 0;
}

SizeHint read_config_hint(const fs::path& path) {
  SizeHint hint;
  hint.source = path.string();
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  if (const auto error = parser.parse(simdjson::padded_string(read_text_file(path))).get(object)) {
    throw Error(ErrorCode::kBadModel,
                path.string() + ": is not a JSON object: " + simdjson::error_message(error));
  }
  // A mode json has its settings in an object of their own.
  simdjson::dom::object mode_param;
  if (!object.at_key("mode_param").get(mode_param)) object = mode_param;
  const auto first_of = [&](std::string_view key, std::string_view other) {
    const int value = positive_member(object, key);
    return value > 0 ? value : positive_member(object, other);
  };
  hint.layers = first_of("num_hidden_layers", "axmodel_num");
  hint.rows = first_of("vocab_size", "tokens_embed_num");
  hint.hidden = first_of("hidden_size", "tokens_embed_size");
  std::string_view type;
  if (!object.at_key("model_type").get(type)) hint.model_type = type;
  return hint;
}

// The number behind an option, as in `--axmodel_num 24 \`.
int number_behind(std::string_view script, std::string_view option) {
  const std::size_t at = script.find(option);
  if (at == std::string_view::npos) return 0;
  const std::string_view rest = script.substr(at + option.size());
  const std::size_t digits = rest.find_first_not_of(" \t=\"'");
  if (digits == 0 || digits == std::string_view::npos) return 0;
  int value = 0;
  std::from_chars(rest.data() + digits, rest.data() + rest.size(), value);
  return value > 0 && value <= kMostSize ? value : 0;
}

SizeHint read_script_hint(const fs::path& path) {
  const std::string script = read_text_file(path, kMostScriptBytes);
  return {path.string(), number_behind(script, "--axmodel_num"),
          number_behind(script, "--tokens_embed_num"), number_behind(script, "--tokens_embed_size"),
          ""};
}

std::vector<fs::path> telling_files(const fs::path& directory) {
  std::vector<fs::path> files;
  for (const std::string& name : file_names(directory)) {
    const bool is_mode = name.starts_with("mode_") && name.ends_with(".json");
    if (is_mode || name == "config.json" || name.ends_with(".sh"))
      files.push_back(directory / name);
  }
  try {
    const ModelLocation model =
        find_model(directory.filename().string(), {directory.parent_path()});
    if (model.mode_json && model.mode_json->parent_path() != directory) {
      files.push_back(*model.mode_json);
    }
  } catch (const Error&) {
    // Not described elsewhere.
  }
  return files;
}

}  // namespace

std::vector<SizeHint> read_size_hints(const fs::path& directory,
                                      std::vector<std::string>& problems) {
  std::vector<SizeHint> hints;
  for (const fs::path& path : telling_files(directory)) {
    try {
      SizeHint hint = path.extension() == ".sh" ? read_script_hint(path) : read_config_hint(path);
      if (hint.layers > 0 || hint.hidden > 0 || !hint.model_type.empty()) {
        hints.push_back(std::move(hint));
      }
    } catch (const Error& error) {
      problems.push_back(error.what());
    }
  }
  return hints;
}

}  // namespace runner
