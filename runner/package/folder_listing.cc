#include "runner/package/folder_listing.h"

#include <algorithm>
#include <system_error>

namespace runner {
namespace {

template <typename Visit>
void for_each_entry(const std::filesystem::path& directory, const Visit& visit) {
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory, error), end; entry != end && !error;
       entry.increment(error)) {
    std::error_code ignored;
    visit(entry->path(), entry->is_directory(ignored));
  }
}

}  // namespace

std::vector<std::string> file_names(const std::filesystem::path& directory) {
  std::vector<std::string> names;
  for_each_entry(directory, [&](const std::filesystem::path& path, bool is_folder) {
    if (!is_folder) names.push_back(path.filename().string());
  });
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::filesystem::path> folders_in(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> folders;
  for_each_entry(directory, [&](const std::filesystem::path& path, bool is_folder) {
    if (is_folder) folders.push_back(path);
  });
  std::sort(folders.begin(), folders.end());
  return folders;
}

}  // namespace runner
