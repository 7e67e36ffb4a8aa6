#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace runner {

// Text files of a model (JSON) are bounded: the largest known tokenizer.json has 33 MB.
inline constexpr std::size_t kMostTextBytes = std::size_t{128} << 20U;

// True for the text that `git clone` leaves in place of a large file when Git LFS is not
// installed: "version https://git-lfs…" (https://git-lfs.com, the pointer file's specification).
bool is_git_lfs_pointer(std::string_view bytes);
// What a message says of such a file, behind its path.
inline constexpr const char* kIsGitLfsPointer =
    "is a Git LFS pointer, not the file; run `git lfs pull` where it came from";

// The whole file. Throws Error: kNotFound when it is not there, kBadModel when it cannot be read,
// has more than `most_bytes` or is a Git LFS pointer; the message begins with the path.
std::string read_text_file(const std::filesystem::path& path,
                           std::size_t most_bytes = kMostTextBytes);

}  // namespace runner
