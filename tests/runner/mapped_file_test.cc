#include "runner/mapped_file.h"

#include <gtest/gtest.h>

#include <string>

#include "runner/error.h"
#include "tests/runner/random_model.h"

using runner::ErrorCode;
using runner::MappedFile;

namespace {

std::string text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

TEST(MappedFile, GivesTheBytes) {
  const TemporaryDirectory directory;
  const std::string content("some bytes\0and more", 19);
  write_file(directory / "file", content);
  const MappedFile file(directory / "file");
  EXPECT_EQ(text_of(file), content);
  EXPECT_EQ(file.path(), directory / "file");
}

TEST(MappedFile, MayBeEmpty) {
  const TemporaryDirectory directory;
  write_file(directory / "file", "");
  EXPECT_TRUE(MappedFile(directory / "file").bytes().empty());
}

TEST(MappedFile, OutlivesTheFilesName) {
  const TemporaryDirectory directory;
  write_file(directory / "file", "kept");
  const MappedFile file(directory / "file");
  std::filesystem::remove(directory / "file");
  EXPECT_EQ(text_of(file), "kept");
}

TEST(MappedFile, NamesPathAndReason) {
  const TemporaryDirectory directory;
  const auto expect_error = [](const std::filesystem::path& path, ErrorCode code,
                               const std::string& reason) {
    try {
      const MappedFile file(path);
      ADD_FAILURE() << path << " was mapped";
    } catch (const runner::Error& error) {
      EXPECT_EQ(error.code(), code);
      EXPECT_NE(std::string(error.what()).find(path.string()), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find(reason), std::string::npos) << error.what();
    }
  };
  expect_error(directory / "absent", ErrorCode::kNotFound, "No such file");
  expect_error(directory.path(), ErrorCode::kBadModel, "Is a directory");
  write_file(directory / "file", "");
  expect_error(directory / "file" / "below", ErrorCode::kBadModel, "Not a directory");
}

}  // namespace
