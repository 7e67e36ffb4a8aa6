#include "main_llm/model_inspection.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <system_error>
#include <utility>
#include <vector>

#include "main_llm/tokenizer_service.h"
#include "protocol/json_writer.h"
#include "runner/error.h"
#include "runner/file_check.h"
#include "runner/file_text.h"
#include "runner/model_config.h"
#include "runner/npu/npu_description.h"
#include "runner/package/axmodel_names.h"
#include "runner/package/folder_listing.h"
#include "runner/safetensors.h"
#include "runner/text/text_model.h"
#include "runner/text/tokenizer_file.h"
#include "runner/text/utf8_stream.h"

namespace main_llm {
namespace {

namespace fs = std::filesystem;

std::string quoted(const std::string& value) {
  return protocol::json_string(runner::to_valid_utf8(value));
}

bool holds_graphs(const fs::path& directory) {
  const std::vector<fs::path> folders = runner::folders_in(directory);
  return !runner::find_axmodel_layers(directory).empty() ||
         std::any_of(folders.begin(), folders.end(), [](const fs::path& folder) {
           return !runner::find_axmodel_layers(folder).empty();
         });
}

std::string undescribed(const fs::path& directory) {
  return directory.string() + ": has graphs for the NPU, but no mode json; see `llm_llm package " +
         directory.string() + " --name NAME`";
}

// For a HuggingFace folder without a mode json, so that clients that read lsmode see it too.
std::string made_up_mode_json(const std::string& name) {
  return "{\"mode\":" + quoted(name) +
         ",\"type\":\"llm\",\"capabilities\":[\"text_generation\",\"chat\"],"
         "\"input_type\":[\"llm.utf-8\",\"llm.utf-8.stream\"],"
         "\"output_type\":[\"llm.utf-8\",\"llm.utf-8.stream\"]}";
}

// Collects facts as members of a JSON object, and what is wrong, all of it.
class Inspection {
 public:
  Inspection(const FoundModel& found, int context) : found_(found), context_(context) {
    text("name", found.location.name);
    text("path", found.location.directory.string());
    text("engine", found.engine);
    if (found.engine == "ax") {
      attempt([this] { look_at_graphs(); });
    } else {
      attempt([this] { look_at_config(); });
      attempt([this] { look_at_weights(); });
      add_problems({runner::find_tokenizer_file(found.location.directory)}, "");
      if (!problems_.empty() && !found.mode && holds_graphs(found.location.directory)) {
        problems_ = {undescribed(found.location.directory)};
      }
    }
  }

  void look_at_text(const std::function<TextFacts()>& read_text) {
    if (!problems_.empty()) return;  // it would only say the same again
    attempt([&] {
      const TextFacts facts = read_text();
      text("tokenizer", facts.tokenizer);
      text("template", facts.chat_template);
    });
  }

  // Throws what is wrong, all of it.
  std::string json() && {
    if (!problems_.empty()) {
      std::string all;
      for (const std::string& problem : problems_) all += (all.empty() ? "" : "; ") + problem;
      throw runner::Error(code_, all);
    }
    const auto& mode_json = found_.location.mode_json;
    raw("mode_json", mode_json ? quoted(mode_json->string()) : "null");
    return "{" + facts_ + "}";
  }

  ModelListing listing() && {
    ModelListing listing;
    listing.name = found_.location.name;
    listing.mode_json = found_.mode ? found_.mode->json : made_up_mode_json(listing.name);
    listing.engine = found_.engine;
    listing.context = context_length_;
    listing.weights_bytes = weights_bytes_;
    listing.problems = std::move(problems_);
    return listing;
  }

 private:
  void raw(const char* key, const std::string& json) {
    facts_ += (facts_.empty() ? "\"" : ",\"") + std::string(key) + "\":" + json;
  }
  void text(const char* key, const std::string& value) { raw(key, quoted(value)); }
  void number(const char* key, std::uint64_t value) { raw(key, std::to_string(value)); }
  void number(const char* key, int value) { raw(key, std::to_string(value)); }

  template <typename Work>
  void attempt(const Work& work) {
    try {
      work();
    } catch (const runner::Error& error) {
      if (problems_.empty()) code_ = error.code();
      problems_.emplace_back(error.what());
    }
  }

  bool add_problems(const std::vector<fs::path>& files, std::string_view noun) {
    std::vector<std::string> found = runner::file_problems(files, noun);
    problems_.insert(problems_.end(), found.begin(), found.end());
    return found.empty();
  }

  void look_at_config() {
    const runner::ModelConfig config = runner::read_model_config(found_.location.directory);
    context_length_ = std::min(config.max_positions, context_);
    text("model_type", config.model_type);
    number("hidden_size", config.hidden);
    number("num_layers", config.layers);
    number("vocab_size", config.vocab);
    number("context_length", *context_length_);
    number("max_position_embeddings", config.max_positions);
    number("intermediate_size", config.intermediate);
    number("num_heads", config.heads);
    number("num_kv_heads", config.kv_heads);
    number("head_dim", config.head_dim);
    raw("tied_embeddings", config.tied_embeddings ? "true" : "false");
  }

  void look_at_weights() {
    const runner::Safetensors weights =
        runner::Safetensors::open_directory(found_.location.directory);
    weights_bytes_ = weights.file_bytes();
    text("dtype", weights.at("model.embed_tokens.weight").dtype);
    number("weights_bytes", weights_bytes_);
  }

  void look_at_graphs() {
    const fs::path& directory = found_.location.directory;
    const runner::NpuDescription description =
        runner::read_npu_description(directory, found_.mode->json, *found_.location.mode_json);
    const runner::NpuModelFiles& graphs = description.graphs;
    context_length_ = found_.mode->params.max_token_len;
    number("hidden_size", graphs.hidden);
    number("num_layers", static_cast<std::uint64_t>(graphs.layers.size()));
    number("vocab_size", graphs.vocab);
    raw("layers_on_demand", graphs.load_layers_on_demand ? "true" : "false");
    // Both, whatever the first finds.
    const bool has_layers = add_problems(graphs.layers, "layers");
    const bool has_post = add_problems({graphs.post}, "");
    if (has_layers && has_post) {
      weights_bytes_ = runner::file_bytes(graphs);
      number("weights_bytes", weights_bytes_);
    }
    if (add_problems({description.embeddings}, "")) {
      attempt([&] { runner::map_embeddings(description.embeddings, graphs.vocab, graphs.hidden); });
    }
    look_at_tokenizer(directory, description.tokenizer_type, description.tokenizer);
  }

  void look_at_tokenizer(const fs::path& directory, int type, const std::string& name) {
    const auto service =
        needed_tokenizer_service(found_.location.name, directory, type, name, found_.root);
    if (service) {
      attempt([&] { describe_tokenizer_service(*service); });
      return;
    }
    const fs::path file = runner::is_tokenizer_file(type)
                              ? directory / name
                              : directory / "tokenizer" / "tokenizer.json";
    std::error_code error;
    if (fs::exists(file, error)) {
      add_problems({file}, "");
    } else {  // says what it would have read
      attempt([&] { runner::load_stackflow_text_model(directory, type, name); });
    }
  }

  const FoundModel& found_;
  const int context_;
  std::string facts_;
  std::vector<std::string> problems_;
  runner::ErrorCode code_ = runner::ErrorCode::kBadModel;  // of the first
  std::optional<int> context_length_;
  std::uint64_t weights_bytes_ = 0;
};

}  // namespace

std::string inspect_model(const FoundModel& found, int context,
                          const std::function<TextFacts()>& read_text) {
  Inspection inspection(found, context);
  inspection.look_at_text(read_text);
  return std::move(inspection).json();
}

ModelListing list_model(const FoundModel& found, int context) {
  return Inspection(found, context).listing();
}

std::optional<ModelListing> list_other_units_model(const runner::ModelLocation& location) {
  if (!location.mode_json) return std::nullopt;
  try {
    ModelListing listing;
    listing.name = location.name;
    listing.mode_json = runner::read_text_file(*location.mode_json);
    listing.type = runner::mode_type(listing.mode_json);
    if (listing.type != "llm") return listing;
  } catch (const runner::Error&) {
    // For who reads it as a model of ours to say.
  }
  return std::nullopt;
}

ModelListing list_broken_model(const std::string& name, const std::string& problem) {
  ModelListing listing;
  listing.name = name;
  listing.mode_json = made_up_mode_json(name);
  listing.problems = {problem};
  return listing;
}

void list_undescribed_models(const runner::ModelRoots& roots, std::vector<ModelListing>& listing) {
  std::set<std::string> names;
  for (const ModelListing& model : listing) names.insert(model.name);
  for (const fs::path& root : roots) {
    for (const fs::path& folder : runner::folders_in(root)) {
      ModelListing model;
      model.name = folder.filename().string();
      if (names.count(model.name) > 0 || !holds_graphs(folder)) continue;
      names.insert(model.name);
      model.problems = {undescribed(folder)};
      listing.push_back(std::move(model));
    }
  }
}

}  // namespace main_llm
