#include "runner/package/parts.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "runner/error.h"
#include "runner/file_check.h"
#include "runner/package/embedding_parts.h"
#include "runner/package/folder_listing.h"
#include "runner/package/text_parts.h"

namespace runner {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPostEnding = "post.axmodel";

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : ", ") + text;
  return all;
}

class PartsFinder {
 public:
  explicit PartsFinder(const PartsWanted& wanted) : wanted_(wanted) {}

  PackageParts find() {
    std::error_code error;
    if (!fs::is_directory(wanted_.source, error)) {
      throw Error(ErrorCode::kNotFound, wanted_.source.string() + " is not a folder");
    }
    if (!find_layers()) return std::move(parts_);
    find_post();
    find_text_parts(wanted_, parts_);
    const std::vector<SizeHint> hints = read_hints();
    check_layers(hints, find_embedding_parts(wanted_, hints, parts_));
    choose_sentencepiece(hints);
    return std::move(parts_);
  }

 private:
  void problem(const fs::path& path, const std::string& what) {
    parts_.problems.push_back(path.string() + ": " + what);
  }

  // In the folder given, else in one of its folders.
  bool find_layers() {
    std::vector<std::string> holders;
    std::vector<AxmodelLayers> families = find_axmodel_layers(wanted_.source);
    parts_.directory = wanted_.source;
    for (const fs::path& folder : folders_in(wanted_.source)) {
      if (holders.empty() && !families.empty()) break;
      std::vector<AxmodelLayers> found = find_axmodel_layers(folder);
      if (found.empty()) continue;
      holders.push_back(folder.filename().string());
      if (holders.size() > 1) continue;
      parts_.directory = folder;
      families = std::move(found);
    }
    if (holders.size() > 1) {
      problem(wanted_.source, "several folders in it hold models: " + joined(holders) +
                                  "; give the one for the chip at hand");
    } else if (families.empty()) {
      problem(wanted_.source,
              "neither it nor a folder in it has files named like qwen2_p128_l0_together.axmodel");
    } else if (families.size() > 1) {
      std::vector<std::string> patterns;
      for (const AxmodelLayers& family : families) patterns.push_back(family.pattern);
      problem(parts_.directory, "has the layers of several models: " + joined(patterns));
    } else {
      parts_.layers = families.front();
      return true;
    }
    return false;
  }

  // "qwen2_post.axmodel" for "qwen2_p128_l%d_together.axmodel", or the only one there is.
  void find_post() {
    std::vector<std::string> found;
    for (const std::string& name : file_names(parts_.directory)) {
      if (!is_plain_name(name) || !name.ends_with(kPostEnding)) continue;
      found.push_back(name);
    }
    if (found.size() > 1) {
      std::erase_if(found, [this](const std::string& name) {
        return !parts_.layers.pattern.starts_with(name.substr(0, name.size() - kPostEnding.size()));
      });
    }
    if (found.size() != 1) {
      problem(parts_.directory,
              "expected one last graph, named like qwen2_post.axmodel; there is " +
                  (found.empty() ? "none" : joined(found)));
      return;
    }
    parts_.post = found.front();
    add_file_problems({parts_.directory / parts_.post}, "");
  }

  std::vector<SizeHint> read_hints() {
    std::vector<fs::path> folders = {parts_.directory, wanted_.source};
    if (wanted_.source == parts_.directory) folders.pop_back();
    const fs::path tokenizer = parts_.tokenizer.parent_path();
    if (!tokenizer.empty() &&
        std::find(folders.begin(), folders.end(), tokenizer) == folders.end()) {
      folders.push_back(tokenizer);
    }
    std::vector<SizeHint> hints;
    for (const fs::path& folder : folders) {
      for (SizeHint& hint : read_size_hints(folder, parts_.problems)) {
        hints.push_back(std::move(hint));
      }
    }
    return hints;
  }

  // Names alone do not tell when the last layers are missing.
  void check_layers(std::vector<SizeHint> hints, const std::optional<SizeHint>& agreeing) {
    if (agreeing) hints.insert(hints.begin(), *agreeing);
    const int found = *parts_.layers.layers.rbegin() + 1;
    const auto hint = std::find_if(hints.begin(), hints.end(), [](const SizeHint& each) {
      return each.layers > 0 && each.layers <= kMostLayers;
    });
    parts_.layer_count = hint == hints.end() ? found : std::max(found, hint->layers);
    if (hint != hints.end() && found > hint->layers) {
      problem(parts_.directory, "has layers up to number " + std::to_string(found - 1) +
                                    ", expected " + std::to_string(hint->layers) + " layers, by " +
                                    hint->source);
    }
    std::vector<fs::path> files;
    for (int layer = 0; layer < parts_.layer_count; ++layer) {
      files.push_back(parts_.directory / parts_.layers.name_of(layer));
    }
    add_file_problems(files, "layers");
  }

  void add_file_problems(const std::vector<fs::path>& files, std::string_view noun) {
    for (std::string& text : file_problems(files, noun)) {
      parts_.problems.push_back(std::move(text));
    }
  }

  // StackFlow's types 3 and 4 are SentencePiece with the markers of these models.
  void choose_sentencepiece(const std::vector<SizeHint>& hints) {
    if (parts_.tokenizer_type != 0) return;
    for (const SizeHint& hint : hints) {
      if (hint.model_type.starts_with("phi3")) parts_.tokenizer_type = 3;
      if (hint.model_type.starts_with("minicpm")) parts_.tokenizer_type = 4;
    }
  }

  const PartsWanted& wanted_;
  PackageParts parts_;
};

}  // namespace

PackageParts find_package_parts(const PartsWanted& wanted) { return PartsFinder(wanted).find(); }

}  // namespace runner
