#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "main_llm/model_loader.h"
#include "runner/model_directory.h"

namespace main_llm {

// A model that was found, with its description read.
struct FoundModel {
  runner::ModelLocation location;
  std::optional<runner::ModeFile> mode;
  std::string engine;                // that runs it: cpu, ax
  std::filesystem::path root = "/";  // in front of /opt/m5stack
};

// What a model's tokenizer and chat template are.
struct TextFacts {
  std::string tokenizer;
  std::string chat_template;
};

// What `inspect` tells (model_loader.h), everything looked at that can be without loading graphs.
// `context` is the most that --context allows; `read_text` loads the text side or throws
// runner::Error. Throws one Error that names all that is wrong.
std::string inspect_model(const FoundModel& found, int context,
                          const std::function<TextFacts()>& read_text);

// The same at a glance, for the list of all models: files, their sizes, and headers.
ModelListing list_model(const FoundModel& found, int context);

// A model of another type than llm, which an asr or vlm unit runs: its mode json, and no more.
// nullopt for ours, and where the mode json cannot be read.
std::optional<ModelListing> list_other_units_model(const runner::ModelLocation& location);

// A model that could not even be looked at, listed with the reason.
ModelListing list_broken_model(const std::string& name, const std::string& problem);

// Adds the folders under `roots` that hold graphs for the NPU but are no models, having no mode
// json.
void list_undescribed_models(const runner::ModelRoots& roots, std::vector<ModelListing>& listing);

}  // namespace main_llm
