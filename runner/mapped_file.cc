#include "runner/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "runner/error.h"

namespace runner {
namespace {

[[noreturn]] void fail(const char* attempt, const std::filesystem::path& path, int error) {
  ErrorCode code = ErrorCode::kBadModel;
  if (error == ENOENT) code = ErrorCode::kNotFound;
  if (error == ENOMEM) code = ErrorCode::kOutOfMemory;
  throw Error(code, std::string("cannot ") + attempt + " " + path.string() + ": " +
                        std::generic_category().message(error));
}

// Closes on every way out; the mapping outlives the descriptor.
class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() { ::close(value_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int value() const { return value_; }

 private:
  int value_;
};

}  // namespace

MappedFile::MappedFile(std::filesystem::path path) : path_(std::move(path)) {
  const int opened = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (opened < 0) fail("open", path_, errno);
  const Descriptor descriptor(opened);
  struct stat status {};
  if (::fstat(descriptor.value(), &status) != 0) fail("examine", path_, errno);
  if (S_ISDIR(status.st_mode)) fail("read", path_, EISDIR);
  const auto length = static_cast<std::size_t>(status.st_size);
  if (length == 0) return;  // mmap refuses a length of 0
  void* address = ::mmap(nullptr, length, PROT_READ, MAP_PRIVATE, descriptor.value(), 0);
  if (address == MAP_FAILED) fail("map", path_, errno);
  // Kernels that keep files in large pages (seen: Linux 6.18 on ext4) then map them as such, which
  // makes long reads faster, most of all in a virtual machine. Elsewhere it changes nothing.
  ::madvise(address, length, MADV_HUGEPAGE);
  bytes_ = {static_cast<const std::byte*>(address), length};
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

void MappedFile::will_need() const {
  if (bytes_.empty()) return;
  ::madvise(const_cast<std::byte*>(bytes_.data()), bytes_.size(), MADV_WILLNEED);
}

}  // namespace runner
