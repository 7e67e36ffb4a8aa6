#include "runner/package/text_parts.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>
#include <system_error>
#include <utility>

#include "runner/error.h"
#include "runner/file_check.h"
#include "runner/package/folder_listing.h"

namespace runner {
namespace {

namespace fs = std::filesystem;

constexpr int kTiktoken = 1;
constexpr int kHttpOrNative = 2;

struct TokenizerName {
  std::string_view file;
  int type;
};
// SentencePiece files are told apart by the model they belong to, later.
constexpr std::array<TokenizerName, 3> kTokenizers = {
    {{"tokenizer.json", kHttpOrNative}, {"tokenizer.model", 0}, {"qwen.tiktoken", kTiktoken}}};

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

std::vector<fs::path> tokenizer_folders(const PartsWanted& wanted, const fs::path& graphs) {
  if (!wanted.tokenizer.empty()) return {wanted.tokenizer};
  std::vector<fs::path> folders;
  std::vector<fs::path> bases = {graphs};
  if (wanted.source != graphs) bases.push_back(wanted.source);
  for (const fs::path& base : bases) {
    folders.insert(folders.end(), {base / "tokenizer", base});
    for (const fs::path& folder : folders_in(base)) {
      const std::string name = folder.filename().string();
      if (name != "tokenizer" && name.find("tokenizer") != std::string::npos) {
        folders.push_back(folder);
      }
    }
  }
  return folders;
}

std::string no_tokenizer(const std::vector<fs::path>& folders) {
  std::string text = folders.front().string() +
                     ": has no tokenizer.json (tokenizer.model or qwen.tiktoken do too)";
  if (folders.size() == 1) return text;
  text +=
      ", nor do the folders around; name the tokenizer's folder, which may be the one of the "
      "original model, with --tokenizer";
  for (const fs::path& folder : folders) {
    for (const std::string& name : file_names(folder)) {
      if (!name.ends_with("tokenizer.txt")) continue;
      return text + " (" + name + " is ax-llm's own format, which StackFlow does not read)";
    }
  }
  return text;
}

// Names that only resemble "tokenizer" may be of several models.
bool is_ambiguous(const std::vector<fs::path>& found, const PartsWanted& wanted,
                  const fs::path& graphs) {
  if (found.size() < 2 || found[0].filename() == "tokenizer") return false;
  return found[0] != graphs && found[0] != wanted.source &&
         found[0].parent_path() == found[1].parent_path();
}

void find_tokenizer(const PartsWanted& wanted, PackageParts& parts) {
  const std::vector<fs::path> folders = tokenizer_folders(wanted, parts.directory);
  for (const TokenizerName& tokenizer : kTokenizers) {
    std::vector<fs::path> found;
    std::copy_if(folders.begin(), folders.end(), std::back_inserter(found),
                 [&](const fs::path& folder) { return is_there(folder / tokenizer.file); });
    if (found.empty()) continue;
    if (is_ambiguous(found, wanted, parts.directory)) {
      parts.problems.push_back(found[0].string() + " and " + found[1].string() +
                               ": both have a tokenizer; choose one with --tokenizer");
      return;
    }
    parts.tokenizer = found[0] / tokenizer.file;
    parts.tokenizer_type = tokenizer.type;
    for (std::string& problem : file_problems({parts.tokenizer}, "")) {
      parts.problems.push_back(std::move(problem));
    }
    return;
  }
  parts.problems.push_back(no_tokenizer(folders));
}

}  // namespace

void find_text_parts(const PartsWanted& wanted, PackageParts& parts) {
  find_tokenizer(wanted, parts);
  for (const fs::path& folder : {parts.directory, wanted.source}) {
    const fs::path path = folder / "post_config.json";
    if (!is_there(path)) continue;
    try {
      parts.samplers = read_post_config(path);
      parts.samplers_from = path.string();
    } catch (const Error& error) {
      parts.problems.emplace_back(error.what());
    }
    return;
  }
}

}  // namespace runner
