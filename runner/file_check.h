#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace runner {

// What is wrong, at a glance, with large files that a model needs: a message for each kind of
// trouble (missing; a Git LFS pointer in its place; a leftover of a copy), naming the folder and
// the first few of them. `noun` is what they are called in the plural, as in "2 of 24 layers
// missing"; a single file is called by its path. REQUIRES: all in one folder.
std::vector<std::string> file_problems(const std::vector<std::filesystem::path>& files,
                                       std::string_view noun);

}  // namespace runner
