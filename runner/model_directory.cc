#include "runner/model_directory.h"

#include <simdjson.h>

#include <map>
#include <system_error>
#include <utility>

#include "runner/error.h"
#include "runner/file_text.h"

namespace runner {
namespace {

namespace fs = std::filesystem;

bool file_exists(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

bool folder_exists(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

void check_name(std::string_view name) {
  if (name.empty() || name == "." || name.find('/') != std::string_view::npos ||
      name.find("..") != std::string_view::npos || name.find('\0') != std::string_view::npos) {
    throw Error(ErrorCode::kBadOption,
                "model name \"" + std::string(name) + "\" is empty or contains '/', '..' or NUL");
  }
}

// A file named after the model may be something else (a config.json of a model called "config"):
// it counts if it holds a mode_param, or if it cannot be read and so must be complained about.
bool is_description(const fs::path& path) {
  if (!file_exists(path)) return false;
  try {
    simdjson::dom::parser parser;
    simdjson::dom::object object;
    const auto parsed = parser.parse(simdjson::padded_string(read_text_file(path))).get(object);
    if (parsed != simdjson::SUCCESS) return true;
    return object.at_key("mode_param").error() == simdjson::SUCCESS;
  } catch (const Error&) {
    return true;
  }
}

std::optional<fs::path> first_description(const std::string& name,
                                          const std::vector<fs::path>& folders) {
  for (const fs::path& folder : folders) {
    for (const char* prefix : {"", "mode_"}) {
      const fs::path path = folder / (prefix + name + ".json");
      if (is_description(path)) return path;
    }
  }
  return std::nullopt;
}

// In the order of StackFlow: beside the files, the folder of descriptions, the configuration, the
// shared data; and beside the model's folder, where a HuggingFace folder is left as it came.
std::vector<fs::path> description_folders(const fs::path& root, const std::string& name) {
  return {root / name, root / "models", root / ".." / "etc", root / ".." / "share", root};
}

}  // namespace

ModelLocation find_model(std::string_view name, const ModelRoots& roots) {
  check_name(name);
  ModelLocation location{std::string(name), {}, {}};
  location.mode_json = first_description(location.name, {"."});
  for (const fs::path& root : roots) {
    const fs::path directory = root / location.name;
    if (!location.mode_json) {
      location.mode_json =
          first_description(location.name, description_folders(root, location.name));
    }
    if (folder_exists(directory) &&
        (location.mode_json || file_exists(directory / "config.json"))) {
      location.directory = directory;
      return location;
    }
  }
  std::string places;
  for (const fs::path& root : roots) {
    places += (places.empty() ? "" : ", ") + (root / location.name).string() + "/";
  }
  throw Error(ErrorCode::kNotFound,
              "model \"" + location.name + "\" not found; looked in " + places);
}

ModelLocation model_at(const fs::path& directory) {
  if (!folder_exists(directory)) {
    throw Error(ErrorCode::kNotFound, directory.string() + " is not a folder");
  }
  fs::path path = fs::absolute(directory).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  const std::string name = path.filename().string();
  return {name, path, first_description(name, {path, path.parent_path()})};
}

std::vector<ModelLocation> list_models(const ModelRoots& roots) {
  std::map<std::string, ModelLocation> found;
  for (const fs::path& root : roots) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(root, error)) {
      const std::string name = entry.path().filename().string();
      if (!folder_exists(entry.path()) || found.count(name) > 0) continue;
      try {
        found.emplace(name, find_model(name, roots));
      } catch (const Error&) {
        // Not a model, or one too broken to be named here: `inspect` says why.
      }
    }
  }
  std::vector<ModelLocation> models;
  for (auto& [name, location] : found) models.push_back(std::move(location));
  return models;
}

ModeFile read_mode_file(const fs::path& path) {
  return parse_mode_json(read_text_file(path), path);
}

ModeFile parse_mode_json(std::string json, const fs::path& path) {
  ModeFile mode;
  mode.json = std::move(json);
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  const auto error = parser.parse(simdjson::padded_string(mode.json)).get(object);
  if (error != simdjson::SUCCESS) {
    throw Error(ErrorCode::kBadModel,
                path.string() + " is not a JSON object: " + simdjson::error_message(error));
  }
  simdjson::dom::object mode_param;
  if (object.at_key("mode_param").get(mode_param) != simdjson::SUCCESS) {
    throw Error(ErrorCode::kBadModel, path.string() + ": \"mode_param\" is missing");
  }
  try {
    mode.params = parse_mode_params(simdjson::minify(mode_param));
  } catch (const Error& bad) {
    throw Error(ErrorCode::kBadModel, path.string() + ": " + bad.what());
  }
  mode.names_axmodels = mode_param.at_key("template_filename_axmodel").error() == simdjson::SUCCESS;
  return mode;
}

std::string mode_type(const std::string& json) {
  simdjson::dom::parser parser;
  std::string_view type;
  if (parser.parse(simdjson::padded_string(json))["type"].get(type) || type.empty()) return "llm";
  return std::string(type);
}

}  // namespace runner
