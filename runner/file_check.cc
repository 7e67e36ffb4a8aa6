#include "runner/file_check.h"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <system_error>

#include "runner/file_text.h"

namespace runner {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kNamesShown = 3;
constexpr std::size_t kLeastFileBytes = 64;  // no file of a model is smaller

enum class FileState { kGood, kMissing, kPointer, kShort };

FileState state_of(const fs::path& file) {
  std::error_code error;
  if (!fs::is_regular_file(file, error)) return FileState::kMissing;
  std::string start(kLeastFileBytes, '\0');
  std::ifstream stream(file, std::ios::binary);
  stream.read(start.data(), static_cast<std::streamsize>(start.size()));
  start.resize(static_cast<std::size_t>(stream.gcount()));
  if (is_git_lfs_pointer(start)) return FileState::kPointer;
  return start.size() < kLeastFileBytes ? FileState::kShort : FileState::kGood;
}

const char* words(FileState state, bool one) {
  switch (state) {
    case FileState::kMissing:
      return one ? "is missing" : "missing";
    case FileState::kPointer:
      return one ? kIsGitLfsPointer
                 : "are Git LFS pointers, not the files; run `git lfs pull` where they came from";
    default:
      return one ? "has less than 64 bytes, a leftover of a copy"
                 : "with less than 64 bytes, leftovers of a copy";
  }
}

std::string first_names(const std::vector<fs::path>& files) {
  std::string text;
  for (std::size_t i = 0; i < std::min(files.size(), kNamesShown); ++i) {
    text += (i > 0 ? ", " : "") + files[i].filename().string();
  }
  if (files.size() > kNamesShown) {
    text += " and " + std::to_string(files.size() - kNamesShown) + " more";
  }
  return text;
}

}  // namespace

std::vector<std::string> file_problems(const std::vector<fs::path>& files, std::string_view noun) {
  std::vector<std::string> problems;
  for (const FileState state : {FileState::kMissing, FileState::kPointer, FileState::kShort}) {
    std::vector<fs::path> bad;
    std::copy_if(files.begin(), files.end(), std::back_inserter(bad),
                 [state](const fs::path& file) { return state_of(file) == state; });
    if (bad.empty()) continue;
    if (files.size() == 1) {
      problems.push_back(bad[0].string() + ": " + words(state, true));
      continue;
    }
    problems.push_back(bad[0].parent_path().string() + ": " + std::to_string(bad.size()) + " of " +
                       std::to_string(files.size()) + " " + std::string(noun) + " " +
                       words(state, false) + ": " + first_names(bad));
  }
  return problems;
}

}  // namespace runner
