#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runner/mode_params.h"

namespace runner {

// Where a model is. runner/README.md lists the places looked at.
struct ModelLocation {
  std::string name;
  std::filesystem::path directory;                 // the folder with its files
  std::optional<std::filesystem::path> mode_json;  // its description, where it has one
};

// A mode json, read and checked.
struct ModeFile {
  std::string json;             // the whole text
  ModeParams params;            // of its mode_param
  bool names_axmodels = false;  // made for an NPU
};

using ModelRoots = std::vector<std::filesystem::path>;

// Finds a model by name; earlier roots win. Throws Error: kBadOption for a name that could leave
// the roots ('/', "..", NUL), kNotFound with the folders looked in.
ModelLocation find_model(std::string_view name, const ModelRoots& roots);

// The model in a folder given by path. Throws Error(kNotFound) when it is no folder.
ModelLocation model_at(const std::filesystem::path& directory);

// All models under the roots, by name; of two with one name the one find_model() gives.
std::vector<ModelLocation> list_models(const ModelRoots& roots);

// Throws Error(kBadModel) naming the file and what was wrong with it.
ModeFile read_mode_file(const std::filesystem::path& path);
// The same of a text that was read; `path` is for messages.
ModeFile parse_mode_json(std::string json, const std::filesystem::path& path);

// The type of model that a mode json says it describes: llm, asr, vlm, … Without a word, or where
// it is no JSON object, llm.
std::string mode_type(const std::string& json);

}  // namespace runner
