#include "runner/safetensors.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <string>

#include "runner/error.h"
#include "tests/runner/expect_mentions.h"
#include "tests/runner/random_model.h"

using runner::Bf16;
using runner::ErrorCode;
using runner::Safetensors;
using runner::TensorView;

namespace {

constexpr const char* kPointer =
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:fdf756fa7fcbe7404d5c60e26bff1a0c8b8aa1f72ced49e7dd0210fe288fb7fe\n"
    "size 988097824\n";

Safetensors open_bytes(const std::string& bytes) {
  const TemporaryDirectory directory;
  write_file(directory / "x.safetensors", bytes);
  return Safetensors::open_file(directory / "x.safetensors");
}

// Opens, then hands the error's text over; empty when there was none.
template <typename Call>
std::string error_of(const Call& call, ErrorCode code = ErrorCode::kBadModel) {
  try {
    call();
    return "";
  } catch (const runner::Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
}

std::vector<float> bf16_of(const TensorView& tensor) {
  std::vector<Bf16> values(tensor.values());
  copy_as_bf16(tensor, values);
  std::vector<float> floats;
  for (const Bf16 value : values) floats.push_back(to_float(value));
  return floats;
}

TEST(Safetensors, GivesTensorsOfOneFile) {
  const auto file = open_bytes(safetensors_bytes(
      {{"a", "F32", {2, 3}, encode({1, 2, 3, 4, 5, 6}, "F32")}, {"b", "BF16", {}, "\x80\x3f"}}));
  EXPECT_EQ(file.tensors().size(), 2U);
  const TensorView& a = file.at("a");
  EXPECT_EQ(a.dtype, "F32");
  EXPECT_EQ(a.shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(a.shape_text(), "[2, 3]");
  EXPECT_EQ(a.values(), 6U);
  EXPECT_EQ(a.bytes.size(), 24U);
  EXPECT_EQ(as_floats(a), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(as_floats(file.at("b")), std::vector<float>{1});
  EXPECT_EQ(file.find("c"), nullptr);
}

TEST(Safetensors, ReadsEveryDtypeAtEveryAddress) {
  const std::vector<float> values = {0, 1, -2.5F, 0.125F, 240, -0.0625F};
  for (const char* dtype : {"BF16", "F16", "F32"}) {
    for (int padding = 0; padding < 8; ++padding) {
      const auto file =
          open_bytes(safetensors_bytes({{"t", dtype, {6}, encode(values, dtype)}}, padding));
      EXPECT_EQ(as_floats(file.at("t")), values) << dtype << padding;
      EXPECT_EQ(bf16_of(file.at("t")), values) << dtype << padding;
    }
  }
}

TEST(Safetensors, RoundsToNearestEvenBf16) {
  const auto float_of = [](std::uint32_t bits) { return std::bit_cast<float>(bits); };
  const auto file =
      open_bytes(safetensors_bytes({{"t",
                                     "F32",
                                     {5},
                                     encode({float_of(0x3f807fff), float_of(0x3f808000),
                                             float_of(0x3f818000), float_of(0x3f808001), 3.4e38F},
                                            "F32")}}));
  EXPECT_EQ(bf16_of(file.at("t")),
            (std::vector<float>{1.0F, 1.0F, float_of(0x3f820000), float_of(0x3f810000),
                                std::numeric_limits<float>::infinity()}));
}

TEST(Safetensors, ReadsHalfFloatsExactly) {
  // Smallest subnormal, largest subnormal, smallest normal, largest, infinities.
  const std::string halves("\x01\x00\xff\x03\x00\x04\xff\x7b\x00\x7c\x00\xfc\x00\x80", 14);
  const auto floats = as_floats(open_bytes(safetensors_bytes({{"t", "F16", {7}, halves}})).at("t"));
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(floats, (std::vector<float>{0x1p-24F, 1023 * 0x1p-24F, 0x1p-14F, 65504, infinity,
                                        -infinity, 0}));
  EXPECT_TRUE(std::signbit(floats[6]));
}

TEST(Safetensors, EmptyTensorsAndSharedBytesAreAllowed) {
  const auto file = open_bytes(safetensors_bytes(
      R"({"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]},
          "b":{"dtype":"BF16","shape":[1],"data_offsets":[2,4]},
          "c":{"dtype":"BF16","shape":[0,7],"data_offsets":[4,4]}})",
      std::string("\x80\x3f\x00\x40", 4)));
  EXPECT_EQ(bf16_of(file.at("a")), (std::vector<float>{1, 2}));
  EXPECT_EQ(bf16_of(file.at("b")), std::vector<float>{2});
  EXPECT_TRUE(bf16_of(file.at("c")).empty());
}

TEST(Safetensors, OtherDtypesAreRefusedWhenAskedFor) {
  const auto file = open_bytes(
      safetensors_bytes({{"ids", "I64", {1}, std::string(8, '\0')}, {"odd", "X7", {3}, "abc"}}));
  EXPECT_EQ(file.tensors().size(), 2U);
  expect_mentions(error_of([&] { as_floats(file.at("ids")); }), {"x.safetensors", "ids", "I64"});
  expect_mentions(error_of([&] { file.at("odd", {3}); }), {"odd", "X7", "BF16"});
}

TEST(Safetensors, WrongShapeNamesBoth) {
  const auto file = open_bytes(safetensors_bytes({{"t", "BF16", {2, 1}, "abcd"}}));
  expect_mentions(error_of([&] {
                    file.at("t", {1, 2});
                  }),
                  {"x.safetensors", "tensor t", "[2, 1]", "[1, 2]"});
  expect_mentions(error_of([&] { file.at("u"); }), {"x.safetensors", "tensor u"});
}

TEST(Safetensors, GitLfsPointerIsRecognised) {
  expect_mentions(error_of([] { open_bytes(kPointer); }),
                  {"x.safetensors", "Git LFS pointer", "git lfs pull"});
}

TEST(Safetensors, EveryTruncationIsAnError) {
  const std::string whole =
      safetensors_bytes({{"a", "F32", {4}, encode({1, 2, 3, 4}, "F32")}, {"b", "BF16", {1}, "ab"}});
  for (std::size_t length = 0; length < whole.size(); ++length) {
    expect_mentions(error_of([&] { open_bytes(whole.substr(0, length)); }), {"x.safetensors"});
  }
}

struct BadHeader {
  std::string header;
  std::string message;
};

TEST(Safetensors, BrokenHeadersAreErrorsThatNameTheTensor) {
  const BadHeader cases[] = {
      {"", "JSON"},
      {"{", "JSON"},
      {"[]", "JSON"},
      {"null", "JSON"},
      {R"({"t":3})", "tensor t"},
      {R"({"t":{}})", "dtype"},
      {R"({"t":{"dtype":1,"shape":[],"data_offsets":[0,0]}})", "dtype"},
      {R"({"t":{"dtype":"BF16","data_offsets":[0,0]}})", "shape"},
      {R"({"t":{"dtype":"BF16","shape":2,"data_offsets":[0,4]}})", "shape"},
      {R"({"t":{"dtype":"BF16","shape":[-2],"data_offsets":[0,4]}})", "shape"},
      {R"({"t":{"dtype":"BF16","shape":[1.5],"data_offsets":[0,4]}})", "shape"},
      {R"({"t":{"dtype":"BF16","shape":["2"],"data_offsets":[0,4]}})", "shape"},
      {R"({"t":{"dtype":"BF16","shape":[2]}})", "data_offsets"},
      {R"({"t":{"dtype":"BF16","shape":[2],"data_offsets":[4]}})", "data_offsets"},
      {R"({"t":{"dtype":"BF16","shape":[2],"data_offsets":[0,4,8]}})", "data_offsets"},
      {R"({"t":{"dtype":"BF16","shape":[2],"data_offsets":[4,0]}})", "before"},
      {R"({"t":{"dtype":"BF16","shape":[2],"data_offsets":[-4,0]}})", "data_offsets"},
      {R"({"t":{"dtype":"BF16","shape":[2],"data_offsets":[6,10]}})", "has 8"},
      {R"({"t":{"dtype":"BF16","shape":[2],"data_offsets":[0,9223372036854775807]}})", "has 8"},
      {R"({"t":{"dtype":"BF16","shape":[2],"data_offsets":[0,18446744073709551615]}})",
       "data_offsets"},
      {R"({"t":{"dtype":"BF16","shape":[3],"data_offsets":[0,4]}})", "takes 6 bytes"},
      {R"({"t":{"dtype":"F32","shape":[2,1],"data_offsets":[0,4]}})", "takes 8 bytes"},
      {R"({"t":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}})",
       "overflows"},
      {R"({"t":{"dtype":"BF16","shape":[9223372036854775807,2],"data_offsets":[0,4]}})",
       "overflows"},
      {R"({"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
           "t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
       "twice"},
  };
  for (const BadHeader& bad : cases) {
    SCOPED_TRACE(bad.header);
    expect_mentions(error_of([&] { open_bytes(safetensors_bytes(bad.header, "12345678")); }),
                    {"x.safetensors", bad.message});
  }
}

TEST(Safetensors, AnnouncedHeaderLengthIsBounded) {
  for (const char* length : {"\xff\xff\xff\xff\xff\xff\xff\xff", "\xff\xff\xff\xff\xff\xff\xff\x7f",
                             "\xf8\xff\xff\xff\xff\xff\xff\xff"}) {
    expect_mentions(error_of([&] { open_bytes(std::string(length, 8) + "{}"); }),
                    {"x.safetensors", "not a safetensors file"});
  }
}

TEST(SafetensorsDirectory, ReadsShardsByTheirIndex) {
  const TemporaryDirectory directory;
  write_file(directory / "model-1.safetensors", safetensors_bytes({{"a", "BF16", {1}, "ab"}}));
  write_file(directory / "model-2.safetensors", safetensors_bytes({{"b", "BF16", {1}, "cd"}}));
  write_file(directory / "model.safetensors.index.json",
             R"({"metadata":{},"weight_map":{"a":"model-1.safetensors",
                 "b":"model-2.safetensors","c":"model-1.safetensors"}})");
  const auto tensors = Safetensors::open_directory(directory.path());
  expect_mentions(tensors.at("a").file, {"model-1.safetensors"});
  expect_mentions(tensors.at("b").file, {"model-2.safetensors"});
  expect_mentions(error_of([&] { tensors.at("c"); }), {directory.path().string(), "tensor c"});
  EXPECT_GT(tensors.file_bytes(), 4U);
}

TEST(SafetensorsDirectory, PrefersTheSingleFile) {
  const TemporaryDirectory directory;
  write_file(directory / "model.safetensors", safetensors_bytes({{"a", "BF16", {1}, "ab"}}));
  write_file(directory / "model.safetensors.index.json", "garbage");
  EXPECT_NE(Safetensors::open_directory(directory.path()).find("a"), nullptr);
}

TEST(SafetensorsDirectory, SaysWhatIsMissing) {
  const TemporaryDirectory directory;
  const auto open = [&] { Safetensors::open_directory(directory.path()); };
  expect_mentions(error_of(open, ErrorCode::kNotFound), {"model.safetensors", "index.json"});
  write_file(directory / "model.safetensors.index.json", R"({"weight_map":{"a":"m.safetensors"}})");
  expect_mentions(error_of(open, ErrorCode::kNotFound), {"m.safetensors", "No such file"});
}

TEST(SafetensorsDirectory, RefusesBrokenIndexes) {
  const TemporaryDirectory directory;
  write_file(directory / "m", safetensors_bytes({{"a", "BF16", {1}, "ab"}}));
  write_file(directory / "n", safetensors_bytes({{"a", "BF16", {1}, "ab"}}));
  for (const char* index :
       {"", "{", "[]", "{}", R"({"weight_map":[]})", R"({"weight_map":{}})",
        R"({"weight_map":{"a":1}})", R"({"weight_map":{"a":""}})", R"({"weight_map":{"a":".."}})",
        R"({"weight_map":{"a":"../m"}})", R"({"weight_map":{"a":"/etc/passwd"}})",
        R"({"weight_map":{"a":"m","b":"n"}})", kPointer}) {
    SCOPED_TRACE(index);
    write_file(directory / "model.safetensors.index.json", index);
    EXPECT_NE(error_of([&] { Safetensors::open_directory(directory.path()); }), "");
  }
}

}  // namespace
