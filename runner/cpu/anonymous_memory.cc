#include "runner/cpu/anonymous_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "runner/error.h"

namespace runner {
namespace {

std::size_t machine_bytes() {
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page_bytes = ::sysconf(_SC_PAGESIZE);
  return static_cast<std::size_t>(pages) * static_cast<std::size_t>(page_bytes);
}

}  // namespace

AnonymousMemory::AnonymousMemory(std::size_t bytes, const std::string& purpose, bool huge_pages)
    : bytes_(bytes) {
  // The kernel would grant more than there is and end the process once it is used.
  if (bytes > machine_bytes()) {
    throw Error(ErrorCode::kOutOfMemory, purpose + " needs " + std::to_string(bytes) +
                                             " bytes, the machine has " +
                                             std::to_string(machine_bytes()));
  }
  if (bytes == 0) return;
  void* address = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED) {
    throw Error(ErrorCode::kOutOfMemory, "cannot reserve " + std::to_string(bytes) + " bytes for " +
                                             purpose + ": " +
                                             std::generic_category().message(errno));
  }
  data_ = address;
  if (huge_pages) ::madvise(data_, bytes_, MADV_HUGEPAGE);  // advice: refusal does not matter
}

AnonymousMemory::~AnonymousMemory() {
  if (data_ != nullptr) ::munmap(data_, bytes_);
}

}  // namespace runner
