#include "runner/package/plan.h"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "runner/error.h"
#include "runner/model_directory.h"
#include "runner/package/mode_json.h"
#include "runner/text/text_model.h"
#include "runner/text/tokenizer_file.h"

namespace runner {
namespace {

namespace fs = std::filesystem;

// What of a tokenizer's folder this program reads, and HuggingFace's transformers, with which
// StackFlow's tokenizer services are written. Such a folder may hold gigabytes of weights too.
constexpr std::array<std::string_view, 10> kTokenizerFiles = {
    "tokenizer.json",      "tokenizer_config.json",
    "chat_template.jinja", "generation_config.json",
    "config.json",         "merges.txt",
    "vocab.json",          "special_tokens_map.json",
    "added_tokens.json",   "tokenizer.model"};

// And of those what belongs beside a tokenizer that is a single file.
constexpr std::array<std::string_view, 3> kTemplateFiles = {
    "tokenizer_config.json", "chat_template.jinja", "generation_config.json"};

fs::path absolute_folder(const fs::path& path) {
  const fs::path full = fs::absolute(path).lexically_normal();
  return full.has_filename() ? full : full.parent_path();
}

PackageOptions checked(PackageOptions options) {
  if (!is_plain_name(options.name) || options.name.find("..") != std::string::npos ||
      options.name == ".") {
    throw Error(ErrorCode::kBadOption,
                "model name \"" + options.name + "\": expected letters, digits and any of . _ + -");
  }
  options.wanted.source = absolute_folder(options.wanted.source);
  if (options.output.empty()) options.output = options.wanted.source.parent_path();
  options.output = absolute_folder(options.output);
  if (!options.wanted.tokenizer.empty()) {
    options.wanted.tokenizer = absolute_folder(options.wanted.tokenizer);
  }
  return options;
}

class Planner {
 public:
  explicit Planner(const PackageOptions& options) : options_(checked(options)) {}

  PackagePlan plan() {
    plan_.directory = options_.output / options_.name;
    plan_.parts = find_package_parts(options_.wanted);
    plan_.problems = std::move(plan_.parts.problems);
    find_description();
    if (plan_.problems.empty()) {
      check_text();
      place_files();
      place_description();
      check_room();
    }
    if (!plan_.problems.empty()) plan_.steps.clear();
    return std::move(plan_);
  }

 private:
  using Kind = PackageStep::Kind;

  void problem(const fs::path& path, const std::string& what) {
    plan_.problems.push_back(path.string() + ": " + what);
  }

  // The tokenizer may be one that only a service can read: then it is for the service to judge.
  void check_text() {
    PackageParts& parts = plan_.parts;
    const fs::path folder = parts.tokenizer.parent_path();
    try {
      const TextModel text = is_tokenizer_file(parts.tokenizer_type)
                                 ? load_stackflow_text_model(folder, parts.tokenizer_type,
                                                             parts.tokenizer.filename().string())
                                 : load_text_model(folder);
      if (!text.chat_template) plan_.notes.push_back(text.template_error);
      if (text.tokenizer->vocab() > parts.rows) {
        problem(parts.tokenizer, "has ids up to " + std::to_string(text.tokenizer->vocab() - 1) +
                                     ", the embeddings only " + std::to_string(parts.rows) +
                                     " rows: it belongs to another model");
      }
      const fs::path generation = folder / "generation_config.json";
      std::error_code error;
      if (parts.samplers_from.empty() && fs::exists(generation, error)) {
        parts.samplers = text.generation_config;
        parts.samplers_from = generation.string();
      }
    } catch (const Error& error) {
      plan_.notes.push_back(std::string("this program cannot use the tokenizer: ") + error.what());
    }
  }

  void place_files() {
    const PackageParts& parts = plan_.parts;
    for (int layer = 0; layer < parts.layer_count; ++layer) {
      place(parts.directory / parts.layers.name_of(layer), plan_.directory);
    }
    place(parts.directory / parts.post, plan_.directory);
    place_embeddings();
    if (is_tokenizer_file(parts.tokenizer_type)) {
      place(parts.tokenizer, plan_.directory);
      place_texts(kTemplateFiles, plan_.directory);
    } else {
      place_texts(kTokenizerFiles, plan_.directory / "tokenizer");
    }
  }

  // Those of the files beside the tokenizer that are there.
  void place_texts(std::span<const std::string_view> names, const fs::path& folder) {
    for (const std::string_view name : names) {
      const fs::path file = plan_.parts.tokenizer.parent_path() / name;
      std::error_code error;
      if (fs::is_regular_file(file, error)) place(file, folder);
    }
  }

  void place(const fs::path& from, const fs::path& folder) {
    const fs::path to = folder / from.filename();
    const std::uint64_t bytes = fs::file_size(from);
    if (is_placed(from, to, bytes)) return;
    const fs::path full = fs::canonical(from);
    if (options_.copy) {
      plan_.steps.push_back({Kind::kCopy, full, to, bytes, ""});
    } else {
      plan_.steps.push_back({Kind::kLink, full, to, 0, ""});
    }
  }

  // Something else in the place is a problem; a link that leads nowhere is replaced.
  bool is_placed(const fs::path& from, const fs::path& to, std::uint64_t bytes) {
    std::error_code error;
    if (!fs::exists(to, error)) return false;
    if (fs::equivalent(from, to, error)) return true;
    if (fs::is_regular_file(to, error) && fs::file_size(to, error) == bytes) return true;
    problem(to, "is in the way of " + from.string() + ", which has " + std::to_string(bytes) +
                    " bytes");
    return true;
  }

  void place_embeddings() {
    const PackageParts& parts = plan_.parts;
    const fs::path from = parts.directory / parts.embeddings;
    embeddings_ = parts.embeddings;
    if (parts.embedding_format == EmbeddingFormat::kBf16) return place(from, plan_.directory);
    const std::string_view ending =
        parts.embedding_format == EmbeddingFormat::kNpy ? ".npy" : ".float32.bin";
    embeddings_.replace(embeddings_.size() - ending.size(), ending.size(), ".bfloat16.bin");
    const std::uint64_t bytes =
        std::uint64_t{2} * static_cast<unsigned>(parts.rows) * static_cast<unsigned>(parts.hidden);
    const fs::path to = plan_.directory / embeddings_;
    if (is_placed(from, to, bytes)) return;
    plan_.steps.push_back({Kind::kConvert, fs::canonical(from), to, bytes, ""});
  }

  // Of two descriptions the one is replaced that is looked for first.
  void find_description() {
    description_ = plan_.directory / ("mode_" + options_.name + ".json");
    try {
      const auto there = find_model(options_.name, {options_.output}).mode_json;
      if (!there) return;
      if (there->parent_path() == plan_.directory) description_ = *there;
      if (options_.force) return;
      problem(*there, "describes a model of this name already; --force puts another in front");
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kNotFound) throw;
    }
  }

  void place_description() {
    std::string text = mode_json_text(options_, plan_.parts, embeddings_);
    const std::uint64_t bytes = text.size();
    plan_.steps.push_back({Kind::kWrite, {}, description_, bytes, std::move(text)});
  }

  void check_room() {
    std::uint64_t needed = 0;
    for (const PackageStep& step : plan_.steps) needed += step.bytes;
    fs::path folder = plan_.directory;
    std::error_code error;
    while (!fs::exists(folder, error) && folder.has_relative_path()) folder = folder.parent_path();
    const fs::space_info space = fs::space(folder, error);
    if (error || space.available >= needed) return;
    problem(folder, "has room for " + std::to_string(space.available) + " bytes, needed are " +
                        std::to_string(needed));
  }

  const PackageOptions options_;
  PackagePlan plan_;
  std::string embeddings_;  // the bf16 file's name
  fs::path description_;    // to be written
};

}  // namespace

PackagePlan plan_package(const PackageOptions& options) { return Planner(options).plan(); }

}  // namespace runner
