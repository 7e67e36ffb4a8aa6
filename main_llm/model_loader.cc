#include "main_llm/model_loader.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "protocol/json_writer.h"
#include "protocol/log.h"
#include "runner/cpu/cpu_engine.h"
#include "runner/cpu/cpu_weights.h"
#include "runner/cpu/thread_pool.h"
#include "runner/error.h"
#include "runner/model_config.h"
#include "runner/model_directory.h"
#include "runner/safetensors.h"
#include "runner/text_model.h"

namespace main_llm {
namespace {

namespace fs = std::filesystem;

// A model that was found, with its description read.
struct FoundModel {
  runner::ModelLocation location;
  std::optional<runner::ModeFile> mode;
  std::string engine;
};

// Which engine runs a model; throws runner::Error when it cannot be had here.
std::string choose_engine(const std::string& asked, const runner::ModelLocation& location,
                          bool names_axmodels) {
  std::error_code error;
  const bool has_config = fs::is_regular_file(location.directory / "config.json", error);
  const bool for_npu = names_axmodels && !has_config;
  if (asked == "ax" || asked == "axcl" || (asked == "auto" && for_npu)) {
    const std::string engine = asked == "auto" ? "ax" : asked;
    throw runner::Error(runner::ErrorCode::kNotBuilt, "model \"" + location.name +
                                                          "\" needs engine " + engine +
                                                          ", which is not built into this program");
  }
  if (!has_config) {
    throw runner::Error(runner::ErrorCode::kBadModel,
                        location.directory.string() +
                            " has no config.json; the cpu engine runs HuggingFace folders");
  }
  return "cpu";
}

// For a HuggingFace folder without a mode json, so that clients that read lsmode see it too.
std::string made_up_mode_json(const std::string& name) {
  return "{\"mode\":" + protocol::json_string(name) +
         ",\"type\":\"llm\",\"capabilities\":[\"text_generation\",\"chat\"],"
         "\"input_type\":[\"llm.utf-8\",\"llm.utf-8.stream\"],"
         "\"output_type\":[\"llm.utf-8\",\"llm.utf-8.stream\"]}";
}

class RealModelLoader : public ModelLoader {
 public:
  explicit RealModelLoader(const ModelOptions& options) : options_(options) {}

  std::shared_ptr<const runner::Model> load(const std::string& name, bool allow_path,
                                            const std::function<void(double)>& progress) override {
    const FoundModel found = find(name, allow_path);
    const std::lock_guard lock(mutex_);
    auto& cached = loaded_[found.location.directory];
    if (auto model = cached.lock()) return model;
    auto model = load_cpu(found, progress);
    cached = model;
    return model;
  }

  std::vector<ModelListing> list() override {
    std::vector<ModelListing> listing;
    for (const runner::ModelLocation& location : runner::list_models(options_.roots)) {
      try {
        listing.push_back({location.name, location.mode_json
                                              ? runner::read_mode_file(*location.mode_json).json
                                              : made_up_mode_json(location.name)});
      } catch (const runner::Error& error) {
        protocol::log_warn("model ", location.name, " is not listed: ", error.what());
      }
    }
    return listing;
  }

  std::string inspect(const std::string& name) override {
    const FoundModel found = find(name, true);
    const fs::path& directory = found.location.directory;
    const runner::ModelConfig config = runner::read_model_config(directory);
    const runner::TextModel text = runner::load_text_model(directory);
    const runner::Safetensors weights = runner::Safetensors::open_directory(directory);
    const runner::TensorView& embeddings = weights.at("model.embed_tokens.weight");
    const auto quoted = [](const std::string& value) { return protocol::json_string(value); };
    return "{\"name\":" + quoted(found.location.name) + ",\"path\":" + quoted(directory.string()) +
           ",\"engine\":" + quoted(found.engine) + ",\"model_type\":" + quoted(config.model_type) +
           ",\"hidden_size\":" + std::to_string(config.hidden) +
           ",\"num_layers\":" + std::to_string(config.layers) +
           ",\"vocab_size\":" + std::to_string(config.vocab) + ",\"context_length\":" +
           std::to_string(std::min(config.max_positions, options_.context)) +
           ",\"max_position_embeddings\":" + std::to_string(config.max_positions) +
           ",\"intermediate_size\":" + std::to_string(config.intermediate) +
           ",\"num_heads\":" + std::to_string(config.heads) +
           ",\"num_kv_heads\":" + std::to_string(config.kv_heads) +
           ",\"head_dim\":" + std::to_string(config.head_dim) +
           ",\"dtype\":" + quoted(embeddings.dtype) +
           ",\"weights_bytes\":" + std::to_string(weights.file_bytes()) +
           ",\"tied_embeddings\":" + (config.tied_embeddings ? "true" : "false") +
           ",\"tokenizer\":" + quoted(text.tokenizer_kind) +
           ",\"template\":" + quoted(std::string(text.chat_template.name())) + ",\"mode_json\":" +
           (found.location.mode_json ? quoted(found.location.mode_json->string()) : "null") + "}";
  }

 private:
  FoundModel find(const std::string& name, bool allow_path) const {
    FoundModel found;
    std::error_code error;
    const bool is_path =
        allow_path && (name.find('/') != std::string::npos || fs::is_directory(name, error));
    found.location = is_path ? runner::model_at(name) : runner::find_model(name, options_.roots);
    if (found.location.mode_json) found.mode = runner::read_mode_file(*found.location.mode_json);
    found.engine =
        choose_engine(options_.engine, found.location, found.mode && found.mode->names_axmodels);
    return found;
  }

  std::shared_ptr<const runner::Model> load_cpu(const FoundModel& found,
                                                const std::function<void(double)>& progress) {
    const fs::path& directory = found.location.directory;
    auto text = runner::load_text_model(directory);
    auto cpu = runner::load_cpu_model(directory, options_.context, progress);
    if (text.tokenizer->vocab() > cpu.shape.vocab) {
      throw runner::Error(runner::ErrorCode::kBadModel,
                          directory.string() + ": the tokenizer has ids up to " +
                              std::to_string(text.tokenizer->vocab() - 1) + ", the model only " +
                              std::to_string(cpu.shape.vocab) + " rows");
    }
    if (!threads_) threads_ = std::make_shared<runner::ThreadPool>(thread_count());

    auto model = std::make_shared<runner::Model>();
    model->name = found.location.name;
    model->path = directory.string();
    model->engine = found.engine;
    model->shape = cpu.shape;
    model->generation_config = text.generation_config;
    if (found.mode) model->mode_param = found.mode->params;
    model->embeddings = cpu.embeddings;
    model->new_engine = [weights = cpu.weights, threads = threads_] {
      return runner::make_cpu_engine(weights, threads);
    };
    model->new_prompt_encoder = [text = std::move(text)](std::string_view) {
      return text.new_prompt_encoder();
    };
    return model;
  }

  int thread_count() const {
    if (options_.threads > 0) return options_.threads;
    return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  }

  const ModelOptions options_;
  std::mutex mutex_;
  std::map<fs::path, std::weak_ptr<const runner::Model>> loaded_;
  std::shared_ptr<runner::ThreadPool> threads_;  // of all engines; started with the first one
};

}  // namespace

std::unique_ptr<ModelLoader> make_model_loader(const ModelOptions& options) {
  return std::make_unique<RealModelLoader>(options);
}

}  // namespace main_llm
