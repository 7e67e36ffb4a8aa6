#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "runner/model.h"
#include "runner/text/text_model.h"

namespace main_llm {

// What the command line says about models; the same in every mode of the program.
struct ModelOptions {
  std::vector<std::filesystem::path> roots;  // folders that hold model folders, first hit wins
  std::string engine = "auto";               // auto, cpu, ax, axcl
  int threads = 0;                           // CPU threads; 0: one per available core
  int context = 4096;                        // most rows of a conversation; models may have fewer
  std::filesystem::path ax_lib_dir;          // of the NPU's libraries; empty: where they are found
  bool ax_kv_in_place = false;               // the NPU writes K/V rows where they belong
  std::filesystem::path root = "/";          // in front of /proc, /dev and vendors' folders
};

// A model found under the roots, for `sys.lsmode` and the command `list`.
struct ModelListing {
  std::string name;
  // One line of JSON: its mode json, or one made up for it; empty for a folder that cannot be named
  // in a setup.
  std::string mode_json;
  std::string type = "llm";      // of the mode json; models of other types are other units'
  std::string engine{};          // that runs it; empty where unknown, as all that follows
  std::optional<int> context{};  // most rows of a conversation; graphs tell only when loaded
  std::uint64_t weights_bytes = 0;
  std::vector<std::string> problems{};  // why a setup would fail, and what would help
};

// The text side of a model.
struct ModelText {
  runner::TextModel text;
  runner::ModeParams mode_param;  // of its mode json
};

struct DescribedModel;  // run_script_options.h

// What opening an NPU's libraries comes to.
struct NpuLibraries {
  std::vector<std::string> names;              // all three belong together
  std::vector<std::filesystem::path> folders;  // vendors', or the one of --ax-lib-dir
  bool folder_is_given = false;                // then no other is looked in
  bool are_open = false;
  std::string folder;   // that they were opened from; "" for the loader's path
  std::string problem;  // why they were not
};

// Opens models by name. The program is linked with one of two implementations: model_loader.cc
// (real models) or tests/scripted/scripted_loader.cc (answers from a script).
//
// Threads: load() and list() may be called from any thread; loads run one at a time.
class ModelLoader {
 public:
  virtual ~ModelLoader() = default;

  // `name`: a folder under one of the roots; with allow_path also a path to a model folder (the
  // command line may, clients may not). Models still in use are shared, not loaded again.
  // `progress` is told the fraction done, 0 to 1, from the calling thread.
  // Throws runner::Error: kNotFound with the places looked in, kBadModel, kBadOption,
  // kOutOfMemory, kNotBuilt.
  virtual std::shared_ptr<const runner::Model> load(
      const std::string& name, bool allow_path,
      const std::function<void(double)>& progress = {}) = 0;

  // The same of a model that is described. Throws as load() does.
  virtual std::shared_ptr<const runner::Model> load_described(
      const DescribedModel& described, const std::function<void(double)>& progress = {}) = 0;

  // All of them, broken ones too: what their files tell at a glance.
  virtual std::vector<ModelListing> list() = 0;

  // What is known of a model without loading it, for `inspect`: a JSON object on one line. Throws
  // as load() does where its files are missing or broken, naming all that has to change.
  virtual std::string inspect(const std::string& name, bool allow_path) = 0;

  // A model's tokenizer and template, without the rest of it; `name` may be the path of a folder
  // with nothing else. Throws as load() does.
  virtual ModelText load_text(const std::string& name) = 0;

  // Opens the NPU's libraries as load() would, for a diagnosis.
  virtual NpuLibraries open_npu_libraries() const = 0;
};

std::unique_ptr<ModelLoader> make_model_loader(const ModelOptions& options);

}  // namespace main_llm
