#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace runner {

// A file mapped read-only into memory. Pages are read from disk when they are first touched and
// shared with every other process that maps the file.
//
// The file must not be shortened while it is mapped: touching a page past its new end is fatal
// (SIGBUS). Replacing it by rename, as package managers do, is fine.
class MappedFile {
 public:
  // Throws Error(kNotFound) when there is no such file, Error(kOutOfMemory) when the address space
  // is exhausted, Error(kBadModel) for anything else; the message has the path and the system's
  // text.
  explicit MappedFile(std::filesystem::path path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  // The whole file; empty for an empty file. Valid as long as this object.
  std::span<const std::byte> bytes() const { return bytes_; }
  // Asks the kernel to read the whole file ahead of its use.
  void will_need() const;

 private:
  std::filesystem::path path_;
  std::span<const std::byte> bytes_;
};

}  // namespace runner
