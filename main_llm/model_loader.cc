#include "main_llm/model_loader.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "main_llm/http_prompt_encoder.h"
#include "main_llm/model_inspection.h"
#include "main_llm/run_script_options.h"
#include "protocol/log.h"
#include "runner/cmm_info.h"
#include "runner/cpu/cpu_engine.h"
#include "runner/cpu/cpu_weights.h"
#include "runner/cpu/thread_pool.h"
#include "runner/error.h"
#include "runner/model_directory.h"
#include "runner/npu/ax_device.h"
#include "runner/npu/ax_library.h"
#include "runner/npu/layered_engine.h"
#include "runner/npu/npu_description.h"
#include "runner/npu/npu_model.h"
#include "runner/text/text_model.h"

namespace main_llm {
namespace {

namespace fs = std::filesystem;

class RealModelLoader : public ModelLoader {
 public:
  explicit RealModelLoader(const ModelOptions& options) : options_(options) {}

  std::shared_ptr<const runner::Model> load(const std::string& name, bool allow_path,
                                            const std::function<void(double)>& progress) override {
    FoundModel found = find(name, allow_path);
    const std::lock_guard lock(mutex_);
    auto& cached = loaded_[found.location.directory];
    if (auto model = cached.lock(); model && !(model->is_broken && model->is_broken())) {
      return model;
    }
    const auto device = found.engine == "ax" ? ax_device_or_cpu(found) : nullptr;
    const auto report = log_progress(found.location.name, progress);
    auto model =
        device ? load_ax(found, read_npu_parts(found), device, report) : load_cpu(found, report);
    cached = model;
    return model;
  }

  std::shared_ptr<const runner::Model> load_described(
      const DescribedModel& described, const std::function<void(double)>& progress) override {
    if (options_.engine != "auto" && options_.engine != "ax") {
      throw runner::Error(runner::ErrorCode::kBadOption,
                          "--engine is " + options_.engine +
                              ", but a model described by axmodels runs on engine ax only");
    }
    FoundModel found;
    found.location = {described.name, fs::current_path(), {}};
    found.mode.emplace();
    found.engine = "ax";
    NpuParts parts;
    parts.description = described.npu;
    if (!described.text_folder.empty()) {
      parts.text = runner::load_text_model(described.text_folder);
    } else {
      find_tokenizer(described.name, "", options_.root, parts);
    }
    if (!parts.service) {
      check_vocab(found.location.directory, parts.text, parts.description.graphs.vocab);
    }
    const std::lock_guard lock(mutex_);
    return load_ax(found, std::move(parts), ax_device(),
                   log_progress(found.location.name, progress));
  }

  std::vector<ModelListing> list() override {
    std::vector<ModelListing> listing;
    for (const runner::ModelLocation& location : runner::list_models(options_.roots)) {
      try {
        listing.push_back(list_one(location));
      } catch (const runner::Error& error) {
        listing.push_back(list_broken_model(location.name, error.what()));
      }
    }
    list_undescribed_models(options_.roots, listing);
    return listing;
  }

  std::string inspect(const std::string& name, bool allow_path) override {
    const FoundModel found = find(name, allow_path);
    return inspect_model(found, options_.context, [&found] {
      if (found.engine != "ax") return facts_of(runner::load_text_model(found.location.directory));
      const NpuParts parts = read_npu_parts(found);
      return parts.service ? TextFacts{describe_tokenizer_service(*parts.service), "the service's"}
                           : facts_of(parts.text);
    });
  }

  ModelText load_text(const std::string& name) override {
    const FoundModel found = locate(name, true);
    const fs::path& directory = found.location.directory;
    const auto params = found.mode ? found.mode->params : runner::ModeParams();
    if (!found.mode || !found.mode->names_axmodels) {
      return {runner::load_text_model(directory), params};
    }
    const runner::NpuDescription description =
        runner::read_npu_description(directory, found.mode->json, *found.location.mode_json);
    return {runner::load_stackflow_text_model(directory, description.tokenizer_type,
                                              description.tokenizer),
            params};
  }

  NpuLibraries open_npu_libraries() const override {
    NpuLibraries libraries;
    libraries.names = runner::ax_library_names();
    libraries.folder_is_given = !options_.ax_lib_dir.empty();
    libraries.folders = libraries.folder_is_given ? std::vector<fs::path>{options_.ax_lib_dir}
                                                  : runner::ax_library_folders(options_.root);
    try {
      libraries.folder = runner::AxLibrary::open(options_.ax_lib_dir, options_.root)->folder;
      libraries.are_open = true;
    } catch (const runner::Error& error) {
      libraries.problem = error.what();
    }
    return libraries;
  }

 private:
  static TextFacts facts_of(const runner::TextModel& text) {
    return {text.tokenizer_kind, text.template_name()};
  }

  FoundModel find(const std::string& name, bool allow_path) const {
    FoundModel found = locate(name, allow_path);
    found.engine = choose_engine(found);
    return found;
  }

  // Without its engine.
  FoundModel locate(const std::string& name, bool allow_path) const {
    std::error_code error;
    const bool is_path =
        allow_path && (name.find('/') != std::string::npos || fs::is_directory(name, error));
    return read_description(is_path ? runner::model_at(name)
                                    : runner::find_model(name, options_.roots));
  }

  ModelListing list_one(const runner::ModelLocation& location) const {
    if (auto other = list_other_units_model(location)) return *other;
    FoundModel found = read_description(location);
    found.engine = choose_engine(found);
    return list_model(found, options_.context);
  }

  FoundModel read_description(runner::ModelLocation location) const {
    FoundModel found;
    found.root = options_.root;
    found.location = std::move(location);
    if (found.location.mode_json) found.mode = runner::read_mode_file(*found.location.mode_json);
    return found;
  }

  // Which engine runs a model; throws runner::Error when it cannot be had here.
  std::string choose_engine(const FoundModel& found) const {
    const std::string& asked = options_.engine;
    const fs::path& directory = found.location.directory;
    std::error_code error;
    const bool has_config = fs::is_regular_file(directory / "config.json", error);
    const bool has_axmodels = found.mode && found.mode->names_axmodels;
    if (asked == "axcl") {
      throw runner::Error(runner::ErrorCode::kNotBuilt,
                          "engine axcl is not built into this program");
    }
    if (asked == "ax" && !has_axmodels) {
      throw runner::Error(runner::ErrorCode::kBadModel,
                          directory.string() + ": no mode json names axmodels; engine ax runs no " +
                              "other models");
    }
    if (asked == "cpu" && !has_config) {
      throw runner::Error(
          runner::ErrorCode::kBadModel,
          directory.string() + " has no config.json; the cpu engine runs HuggingFace folders");
    }
    if (asked != "auto") return asked;
    // Both: the NPU, where it can be had.
    return has_axmodels && (!has_config || open_npu_libraries().are_open) ? "ax" : "cpu";
  }

  // Tells the log, in steps of a quarter, and whoever else wants to know.
  static std::function<void(double)> log_progress(const std::string& name,
                                                  const std::function<void(double)>& also) {
    return [name, also, told = 0](double done) mutable {
      if (also) also(done);
      const int quarters = static_cast<int>(done * 4);
      if (quarters > told) protocol::log_info("model ", name, ": ", quarters * 25, " % loaded");
      told = std::max(told, quarters);
    };
  }

  std::shared_ptr<const runner::Model> load_cpu(const FoundModel& found,
                                                const std::function<void(double)>& progress) {
    const fs::path& directory = found.location.directory;
    auto text = runner::load_text_model(directory);
    auto cpu = runner::load_cpu_model(directory, options_.context, progress);
    check_vocab(directory, text, cpu.shape.vocab);
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
    model->new_prompt_encoder = [text = std::move(text)](const runner::PromptOptions& prompt) {
      return text.new_prompt_encoder(prompt);
    };
    return model;
  }

  // What an NPU model has besides its graphs.
  struct NpuParts {
    runner::NpuDescription description;
    runner::TextModel text;
    std::optional<TokenizerServiceOptions> service;  // in place of text
  };

  static NpuParts read_npu_parts(const FoundModel& found) {
    const fs::path& directory = found.location.directory;
    NpuParts parts;
    parts.description =
        runner::read_npu_description(directory, found.mode->json, *found.location.mode_json);
    find_tokenizer(found.location.name, directory, found.root, parts);
    if (!parts.service) check_vocab(directory, parts.text, parts.description.graphs.vocab);
    return parts;
  }

  static void find_tokenizer(const std::string& name, const fs::path& directory,
                             const fs::path& root, NpuParts& parts) {
    const runner::NpuDescription& description = parts.description;
    parts.service = needed_tokenizer_service(name, directory, description.tokenizer_type,
                                             description.tokenizer, root);
    if (parts.service) return;
    parts.text = runner::load_stackflow_text_model(directory, description.tokenizer_type,
                                                   description.tokenizer);
  }

  static void check_vocab(const fs::path& directory, const runner::TextModel& text, int vocab) {
    if (text.tokenizer->vocab() <= vocab) return;
    throw runner::Error(runner::ErrorCode::kBadModel,
                        directory.string() + ": the tokenizer has ids up to " +
                            std::to_string(text.tokenizer->vocab() - 1) + ", the model only " +
                            std::to_string(vocab) + " rows");
  }

  std::shared_ptr<const runner::Model> load_ax(const FoundModel& found, NpuParts parts,
                                               const std::shared_ptr<runner::NpuDevice>& device,
                                               const std::function<void(double)>& progress) {
    auto embeddings =
        runner::map_embeddings(parts.description.embeddings, parts.description.graphs.vocab,
                               parts.description.graphs.hidden);
    runner::NpuModelOptions options{options_.context, std::nullopt, progress};
    if (const auto cmm = runner::read_cmm_info(options_.root)) {
      options.memory_bytes = cmm->remain_kib * 1024;
    }
    auto graphs = std::make_shared<const runner::NpuModel>(
        device, std::move(parts.description.graphs), options);

    auto model = std::make_shared<runner::Model>();
    model->name = found.location.name;
    model->path = found.location.directory.string();
    model->engine = found.engine;
    model->shape = graphs->shape();
    model->list_tokens = graphs->post_layout().list_tokens;
    model->generation_config = parts.text.generation_config;
    model->mode_param = found.mode->params;
    model->embeddings = std::move(embeddings);
    model->is_broken = [graphs] { return graphs->is_broken(); };
    model->new_engine = [graphs, in_place = options_.ax_kv_in_place] {
      return runner::make_layered_engine(graphs, {in_place});
    };
    model->new_prompt_encoder = encoders_of(parts, model->shape.vocab);
    model->writes_single_turns = parts.service && !parts.description.tokenizer_keeps_conversation;
    return model;
  }

  std::function<std::unique_ptr<runner::PromptEncoder>(const runner::PromptOptions&)> encoders_of(
      const NpuParts& parts, int vocab) const {
    if (!parts.service) {
      return [text = parts.text](const auto& prompt) { return text.new_prompt_encoder(prompt); };
    }
    HttpPromptEncoderOptions service{*parts.service, parts.description.tokenizer_keeps_conversation,
                                     parts.description.adds_eos_to_prompt, vocab};
    service.service.ports = tokenizer_ports_;
    return [service](const auto& prompt) { return make_http_prompt_encoder(service, prompt); };
  }

  // Null, and the engine changed, where the NPU does not work and the CPU may do instead.
  std::shared_ptr<runner::NpuDevice> ax_device_or_cpu(FoundModel& found) {
    std::error_code error;
    const bool may_be_cpu = options_.engine == "auto" &&
                            fs::is_regular_file(found.location.directory / "config.json", error);
    try {
      return ax_device();
    } catch (const runner::Error& failure) {
      if (!may_be_cpu) throw;
      protocol::log_warn("model ", found.location.name, " runs on the CPU: ", failure.what());
      found.engine = "cpu";
      return nullptr;
    }
  }

  // Of all models; initialised again once nobody holds it.
  std::shared_ptr<runner::NpuDevice> ax_device() {
    auto device = ax_device_.lock();
    if (!device) {
      device = runner::make_ax_device(runner::AxLibrary::open(options_.ax_lib_dir, options_.root),
                                      options_.root);
      ax_device_ = device;
    }
    return device;
  }

  int thread_count() const {
    if (options_.threads > 0) return options_.threads;
    return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  }

  const ModelOptions options_;
  std::mutex mutex_;
  std::map<fs::path, std::weak_ptr<const runner::Model>> loaded_;
  std::shared_ptr<runner::ThreadPool> threads_;  // of all engines; started with the first one
  std::weak_ptr<runner::NpuDevice> ax_device_;
  const std::shared_ptr<TokenizerPorts> tokenizer_ports_ = std::make_shared<TokenizerPorts>();
};

}  // namespace

std::unique_ptr<ModelLoader> make_model_loader(const ModelOptions& options) {
  return std::make_unique<RealModelLoader>(options);
}

}  // namespace main_llm
