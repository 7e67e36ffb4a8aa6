// The model loader of llm_llm_scripted: models that answer as a script says, for tests of
// everything around an engine.

#include <algorithm>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>

#include "main_llm/model_loader.h"
#include "main_llm/run_script_options.h"
#include "protocol/json_writer.h"
#include "runner/error.h"
#include "tests/scripted/script.h"
#include "tests/scripted/scripted_encoder.h"
#include "tests/scripted/scripted_engine.h"

namespace scripted {
namespace {

class ScriptedLoader : public main_llm::ModelLoader {
 public:
  explicit ScriptedLoader(const main_llm::ModelOptions& options) : options_(options) {}

  std::shared_ptr<const runner::Model> load(const std::string& name, bool allow_path,
                                            const std::function<void(double)>& progress) override {
    const std::lock_guard lock(mutex_);
    const std::filesystem::path folder = find_folder(name, allow_path);
    std::weak_ptr<const runner::Model>& known = models_[folder.string()];
    if (auto model = known.lock()) return model;
    auto& counts = counts_[folder.string()];
    if (!counts) counts = std::make_shared<Counts>();
    if (progress) progress(0);
    const auto model = make_model(name, read_limited(folder), counts);
    if (progress) progress(1);
    known = model;
    return model;
  }

  std::shared_ptr<const runner::Model> load_described(const main_llm::DescribedModel& described,
                                                      const std::function<void(double)>&) override {
    throw runner::Error(runner::ErrorCode::kBadOption,
                        "model \"" + described.name + "\" has no script to answer from");
  }

  std::vector<main_llm::ModelListing> list() override {
    std::vector<main_llm::ModelListing> models;
    for (const auto& root : options_.roots) {
      std::error_code error;
      for (const auto& entry : std::filesystem::directory_iterator(root, error)) {
        if (!std::filesystem::exists(entry.path() / "script.json", error)) continue;
        const std::string name = entry.path().filename().string();
        models.push_back({name, "{\"mode\":" + protocol::json_string(name) +
                                    ",\"type\":\"llm\",\"capabilities\":[\"text_generation\"],"
                                    "\"input_type\":[\"llm.utf-8\",\"llm.utf-8.stream\"],"
                                    "\"output_type\":[\"llm.utf-8\",\"llm.utf-8.stream\"]}"});
      }
    }
    return models;
  }

  std::string inspect(const std::string& name, bool allow_path) override {
    const std::filesystem::path folder = find_folder(name, allow_path);
    const Script script = read_limited(folder);
    return "{\"path\":" + protocol::json_string(folder.string()) +
           ",\"engine\":\"scripted\",\"hidden_size\":" + std::to_string(script.hidden) +
           ",\"num_layers\":1,\"vocab_size\":" + std::to_string(script.vocab()) +
           ",\"context_length\":" + std::to_string(script.context) + "}";
  }

  main_llm::ModelText load_text(const std::string& name) override {
    throw runner::Error(runner::ErrorCode::kBadOption,
                        "model \"" + name + "\" answers from a script, it has no tokenizer");
  }

  main_llm::NpuLibraries open_npu_libraries() const override { return {}; }

 private:
  std::filesystem::path find_folder(const std::string& name, bool allow_path) const {
    std::string looked;
    std::error_code error;
    const bool plain = !name.empty() && name != "." && name != ".." &&
                       name.find('/') == std::string::npos && name.find('\0') == std::string::npos;
    if (plain) {
      for (const auto& root : options_.roots) {
        if (std::filesystem::exists(root / name / "script.json", error)) return root / name;
        looked += (looked.empty() ? "" : ", ") + (root / name / "script.json").string();
      }
    }
    if (allow_path && std::filesystem::exists(std::filesystem::path(name) / "script.json", error)) {
      return name;
    }
    throw runner::Error(runner::ErrorCode::kNotFound,
                        "model \"" + name + "\" not found" +
                            (plain ? "; looked in " + looked : ": not a model name"));
  }

  Script read_limited(const std::filesystem::path& folder) const {
    Script script = read_script(folder);
    script.context = std::min(script.context, options_.context);
    return script;
  }

  static std::shared_ptr<const runner::Model> make_model(const std::string& name, Script loaded,
                                                         const std::shared_ptr<Counts>& counts) {
    const auto script = std::make_shared<const Script>(std::move(loaded));
    wait_for(script->load_delay, {});
    if (!script->load_gate.empty()) wait_at_gate(script->folder, script->load_gate, {});
    if (!script->load_error.empty())
      throw runner::Error(runner::ErrorCode::kBadModel, script->load_error);
    if (script->out_of_memory) {
      throw runner::Error(runner::ErrorCode::kOutOfMemory,
                          "model \"" + name + "\" does not fit the memory");
    }
    const auto values =
        std::make_shared<const std::vector<runner::Bf16>>(embed_vocabulary(*script));
    const runner::ModelShape shape{1, script->hidden, script->vocab(), script->context};

    auto model = std::make_shared<runner::Model>();
    model->name = name;
    model->path = script->folder.string();
    model->engine = "scripted";
    model->shape = shape;
    model->mode_param = script->mode_param;
    model->embeddings =
        std::make_shared<const runner::EmbeddingTable>(values, *values, script->hidden);
    model->new_engine = [script, shape, counts] {
      return make_scripted_engine(script, shape, counts);
    };
    model->new_prompt_encoder = [script, counts](const runner::PromptOptions&) {
      return make_scripted_encoder(script, counts);
    };
    return model;
  }

  const main_llm::ModelOptions options_;
  std::mutex mutex_;  // one load at a time; guards the maps, both by folder
  std::map<std::string, std::weak_ptr<const runner::Model>> models_;
  std::map<std::string, std::shared_ptr<Counts>> counts_;
};

}  // namespace
}  // namespace scripted

std::unique_ptr<main_llm::ModelLoader> main_llm::make_model_loader(const ModelOptions& options) {
  return std::make_unique<scripted::ScriptedLoader>(options);
}
