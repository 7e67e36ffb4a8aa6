#include <algorithm>
#include <cerrno>
#include <fstream>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "runner/error.h"
#include "runner/mapped_file.h"
#include "runner/npy.h"
#include "runner/package/plan.h"

namespace runner {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kChunk = std::size_t{1} << 20U;  // bytes copied, or values converted

[[noreturn]] void fail_to_write(const fs::path& path, const std::string& why) {
  throw Error(ErrorCode::kBadModel, "cannot write " + path.string() + ": " + why);
}

// Where a file or link grows until it gets its name.
class PartialFile {
 public:
  explicit PartialFile(fs::path path) : path_(std::move(path)), partial_(path_) {
    partial_ += ".partial";
    std::error_code error;
    fs::create_directories(path_.parent_path(), error);
    if (error) fail_to_write(path_, error.message());
    fs::remove(partial_, error);
  }
  ~PartialFile() {
    std::error_code ignored;
    fs::remove(partial_, ignored);
  }
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  const fs::path& partial() const { return partial_; }

  void finish() {
    std::error_code error;
    fs::rename(partial_, path_, error);
    if (error) fail_to_write(path_, error.message());
  }

 private:
  fs::path path_;
  fs::path partial_;
};

class PackageWriter {
 public:
  PackageWriter(const PackagePlan& plan, const std::function<void(double)>& progress)
      : plan_(plan), progress_(progress) {
    for (const PackageStep& step : plan.steps) all_ += step.bytes;
  }

  void write() {
    for (const PackageStep& step : plan_.steps) {
      PartialFile file(step.to);
      switch (step.kind) {
        case PackageStep::Kind::kLink:
          link(step, file.partial());
          break;
        case PackageStep::Kind::kCopy:
          copy(MappedFile(step.from).bytes(), file.partial());
          break;
        case PackageStep::Kind::kConvert:
          convert(step, file.partial());
          break;
        case PackageStep::Kind::kWrite:
          copy(std::as_bytes(std::span(step.text)), file.partial());
          break;
      }
      file.finish();
    }
  }

 private:
  static void link(const PackageStep& step, const fs::path& path) {
    std::error_code error;
    fs::create_symlink(step.from, path, error);
    if (error) fail_to_write(path, error.message());
  }

  void copy(std::span<const std::byte> bytes, const fs::path& path) {
    std::ofstream out = open(path);
    for (std::size_t at = 0; at < bytes.size(); at += kChunk) {
      append(out, path, bytes.subspan(at, std::min(kChunk, bytes.size() - at)));
    }
    close(out, path);
  }

  void convert(const PackageStep& step, const fs::path& path) {
    const MappedFile file(step.from);
    TensorView table;
    if (step.from.extension() == ".npy") {
      table = parse_npy(file.bytes(), step.from.string());
    } else {
      table = {"", "F32", {}, file.bytes(), step.from.string()};
    }
    const std::size_t each = table.dtype == "F32" ? 4 : 2;
    const std::size_t values = table.bytes.size() / each;
    std::vector<Bf16> converted(std::min(kChunk, values));
    std::ofstream out = open(path);
    for (std::size_t at = 0; at < values; at += kChunk) {
      const std::size_t count = std::min(kChunk, values - at);
      TensorView part = table;
      part.shape = {static_cast<std::int64_t>(count)};
      part.bytes = table.bytes.subspan(at * each, count * each);
      copy_as_bf16(part, std::span(converted).first(count));
      append(out, path, std::as_bytes(std::span(converted).first(count)));
    }
    close(out, path);
  }

  static std::ofstream open(const fs::path& path) {
    errno = 0;
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    check(out, path);
    return out;
  }

  void append(std::ofstream& out, const fs::path& path, std::span<const std::byte> bytes) {
    errno = 0;
    out.write(reinterpret_cast<const char*>(bytes.data()),
              static_cast<std::streamsize>(bytes.size()));
    check(out, path);
    done_ += bytes.size();
    if (progress_) progress_(static_cast<double>(done_) / static_cast<double>(all_));
  }

  static void close(std::ofstream& out, const fs::path& path) {
    errno = 0;
    out.close();
    check(out, path);
  }

  static void check(const std::ofstream& out, const fs::path& path) {
    if (!out) fail_to_write(path, std::generic_category().message(errno));
  }

  const PackagePlan& plan_;
  const std::function<void(double)>& progress_;
  std::uint64_t all_ = 0;
  std::uint64_t done_ = 0;
};

}  // namespace

void carry_out(const PackagePlan& plan, const std::function<void(double)>& progress) {
  PackageWriter(plan, progress).write();
}

}  // namespace runner
