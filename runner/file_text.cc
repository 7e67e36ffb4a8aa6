#include "runner/file_text.h"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <system_error>

#include "runner/error.h"

namespace runner {
namespace {

constexpr std::size_t kChunkBytes = std::size_t{1} << 20U;

[[noreturn]] void fail(const std::filesystem::path& path, ErrorCode code, const std::string& what) {
  throw Error(code, path.string() + ": " + what);
}

}  // namespace

bool is_git_lfs_pointer(std::string_view bytes) {
  return bytes.starts_with("version https://git-lfs");
}

std::string read_text_file(const std::filesystem::path& path, std::size_t most_bytes) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found) {
    fail(path, ErrorCode::kNotFound, "is not there");
  }
  if (std::filesystem::is_directory(status)) {
    fail(path, ErrorCode::kBadModel, "is a folder, expected a file");
  }
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    fail(path, ErrorCode::kBadModel, "cannot be opened: " + std::generic_category().message(errno));
  }
  // In pieces, because the size of a device or a pipe is not known beforehand.
  std::string text;
  while (file && text.size() <= most_bytes) {
    const std::size_t before = text.size();
    text.resize(before + std::min(kChunkBytes, most_bytes + 1 - before));
    file.read(text.data() + before, static_cast<std::streamsize>(text.size() - before));
    text.resize(before + static_cast<std::size_t>(file.gcount()));
  }
  if (file.bad()) fail(path, ErrorCode::kBadModel, "cannot be read");
  if (text.size() > most_bytes) {
    fail(path, ErrorCode::kBadModel,
         "has more than " + std::to_string(most_bytes) + " bytes, the most expected here");
  }
  if (is_git_lfs_pointer(text)) {
    fail(path, ErrorCode::kBadModel, kIsGitLfsPointer);
  }
  return text;
}

}  // namespace runner
