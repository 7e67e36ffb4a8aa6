#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace runner {

// The names of what is in a folder and is not a folder, and the paths of the folders in it, both
// sorted; nothing where it is no folder or cannot be read.
std::vector<std::string> file_names(const std::filesystem::path& directory);
std::vector<std::filesystem::path> folders_in(const std::filesystem::path& directory);

}  // namespace runner
