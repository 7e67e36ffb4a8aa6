#include "runner/npy.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "runner/error.h"
#include "tests/runner/expect_mentions.h"
#include "tests/runner/random_model.h"

using runner::parse_npy;
using runner::TensorView;

namespace {

// As numpy.save writes it: the header padded so that values start at a multiple of 64.
std::string npy_bytes(const std::string& dict, const std::string& values, int version = 1) {
  const std::size_t length_bytes = version == 1 ? 2 : 4;
  std::string header = dict;
  while ((8 + length_bytes + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  std::string bytes = "\x93NUMPY";
  bytes += static_cast<char>(version);
  bytes += '\0';
  for (std::size_t i = 0; i < length_bytes; ++i) {
    bytes += static_cast<char>(header.size() >> (8 * i) & 0xffU);
  }
  return bytes + header + values;
}

std::string dict(const std::string& descr, const std::string& order, const std::string& shape) {
  return "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }";
}

TensorView parse(const std::string& bytes) {
  return parse_npy(std::as_bytes(std::span(bytes)), "x.npy");
}

std::string error_of(const std::string& bytes) {
  try {
    parse(bytes);
    return "no Error";
  } catch (const runner::Error& error) {
    EXPECT_EQ(error.code(), runner::ErrorCode::kBadModel);
    return error.what();
  }
}

const std::string kSix = encode({1, 2, 3, 4, 5, 6.5F}, "F32");

TEST(Npy, GivesTheArray) {
  for (const int version : {1, 2, 3}) {
    const std::string bytes = npy_bytes(dict("<f4", "False", "(2, 3)"), kSix, version);
    const TensorView array = parse(bytes);
    EXPECT_EQ(array.dtype, "F32");
    EXPECT_EQ(array.shape, (std::vector<std::int64_t>{2, 3}));
    EXPECT_EQ(as_floats(array), (std::vector<float>{1, 2, 3, 4, 5, 6.5F}));
  }
}

TEST(Npy, ReadsHalfFloatsAndOtherShapes) {
  const std::string half = npy_bytes(dict("<f2", "False", "(2,)"), encode({1.5F, -2}, "F16"));
  EXPECT_EQ(as_floats(parse(half)), (std::vector<float>{1.5F, -2}));
  const std::string scalar = npy_bytes(dict("<f4", "False", "()"), encode({7}, "F32"));
  EXPECT_EQ(as_floats(parse(scalar)), (std::vector<float>{7}));
  EXPECT_EQ(parse(npy_bytes(dict("<f4", "False", "(0, 3)"), "")).values(), 0U);
}

TEST(Npy, KeysComeInAnyOrder) {
  const std::string bytes = npy_bytes("{'shape':(3,2),'fortran_order':False,'descr':'<f4'}", kSix);
  EXPECT_EQ(parse(bytes).shape, (std::vector<std::int64_t>{3, 2}));
}

TEST(Npy, WhatCannotBeReadIsSaid) {
  struct Case {
    std::string bytes;
    std::string says;
  };
  const std::string good = npy_bytes(dict("<f4", "False", "(2, 3)"), kSix);
  const std::vector<Case> cases = {
      {"", "is not a .npy file"},
      {"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"},
      {good.substr(0, 9), "truncated"},
      {good.substr(0, 40), "truncated"},
      {good.substr(0, good.size() - 1), "has 23 bytes of values, expected 24 for shape [2, 3]"},
      {good + "x", "has 25 bytes of values, expected 24"},
      {npy_bytes(dict("<f4", "False", "(2, 3)"), kSix, 4), "version 4, expected 1 to 3"},
      {npy_bytes(dict("<f4", "True", "(2, 3)"), kSix), "column by column"},
      {npy_bytes(dict("<f8", "False", "(2, 3)"), kSix), "type <f8, expected <f4 or <f2"},
      {npy_bytes(dict(">f4", "False", "(2, 3)"), kSix), "type >f4"},
      {npy_bytes(dict("<f4", "False", "(-2, 3)"), kSix), "expected a dict"},
      {npy_bytes(dict("<f4", "False", "(2 3)"), kSix), "expected a dict"},
      {npy_bytes(dict("<f4", "False", "(9999999999999999999,)"), kSix), "expected a dict"},
      {npy_bytes(dict("<f4", "False", "(4611686018427387904, 2)"), kSix), "overflows"},
      {npy_bytes("{'descr': '<f4', 'shape': (2, 3), }", kSix), "expected a dict"},
      {npy_bytes("{'descr': '<f4', 'descr': '<f4', 'shape': (2, 3)}", kSix), "expected a dict"},
      {npy_bytes(dict("<f4", "False", "(2, 3)") + " 1", kSix), "expected a dict"},
      {npy_bytes("{'descr': '<f4", kSix), "expected a dict"},
      {npy_bytes("", kSix), "expected a dict"},
  };
  for (const Case& each : cases) expect_mentions(error_of(each.bytes), {"x.npy: ", each.says});
}

}  // namespace
