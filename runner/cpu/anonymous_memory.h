#pragma once

#include <cstddef>
#include <string>

namespace runner {

// Zero-filled memory from the operating system, page-aligned. Pages take room only once they are
// written, so a generous reservation costs nothing until it is used.
class AnonymousMemory {
 public:
  // `purpose` stands in the message ("the K/V cache of 4096 rows"). With huge_pages the kernel is
  // asked for large ones, for memory that is read in long runs and used in full.
  // Throws Error(kOutOfMemory) when the address space or the machine's memory is too small for
  // `bytes`, with both numbers.
  AnonymousMemory(std::size_t bytes, const std::string& purpose, bool huge_pages = false);
  ~AnonymousMemory();
  AnonymousMemory(const AnonymousMemory&) = delete;
  AnonymousMemory& operator=(const AnonymousMemory&) = delete;

  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace runner
