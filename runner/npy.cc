#include "runner/npy.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "runner/error.h"
#include "runner/excerpt.h"
#include "runner/file_text.h"

namespace runner {
namespace {

class NpyReader {
 public:
  NpyReader(std::span<const std::byte> bytes, const std::string& file)
      : file_(file), rest_(reinterpret_cast<const char*>(bytes.data()), bytes.size()) {}

  TensorView read() {
    if (is_git_lfs_pointer(rest_)) fail(kIsGitLfsPointer);
    const std::string_view dict = header();
    const std::string_view values = std::exchange(rest_, dict);
    read_dict();
    return view(values);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::kBadModel, file_ + ": " + what);
  }

  std::string_view header() {
    constexpr std::string_view kMagic = "\x93NUMPY";
    if (!rest_.starts_with(kMagic)) fail("is not a .npy file");
    rest_.remove_prefix(kMagic.size());
    const int major = static_cast<unsigned char>(bytes(2)[0]);
    if (major < 1 || major > 3) {
      fail("is a .npy file of version " + std::to_string(major) + ", expected 1 to 3");
    }
    std::size_t length = 0;
    int shift = 0;
    for (const char byte : bytes(major == 1 ? 2 : 4)) {
      length |= std::size_t{static_cast<unsigned char>(byte)} << shift;
      shift += 8;
    }
    return bytes(length);
  }

  std::string_view bytes(std::size_t count) {
    if (count > rest_.size()) fail("is truncated inside its header");
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }

  // {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }, in any order, blanks around.
  void read_dict() {
    const std::string_view dict = rest_;
    const auto bad = [&] {
      fail("its header is " + excerpt(dict) +
           ", expected a dict of descr, fortran_order and shape");
    };
    if (!take("{")) bad();
    while (!take("}")) {
      const auto key = quoted();
      if (!key || !take(":") || !read_value(*key)) bad();
      if (!take(",") && !rest_.starts_with('}')) bad();
      skip_blanks();
    }
    if (!rest_.empty() || !descr_ || !fortran_order_ || !shape_) bad();
  }

  bool read_value(std::string_view key) {
    if (key == "descr" && !descr_) return (descr_ = quoted()).has_value();
    if (key == "shape" && !shape_) return (shape_ = tuple()).has_value();
    if (key != "fortran_order" || fortran_order_) return false;
    if (take("True")) fortran_order_ = true;
    if (!fortran_order_ && take("False")) fortran_order_ = false;
    return fortran_order_.has_value();
  }

  std::optional<std::string_view> quoted() {
    if (!take("'")) return std::nullopt;
    const std::size_t end = rest_.find('\'');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view text = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    skip_blanks();
    return text;
  }

  std::optional<std::vector<std::int64_t>> tuple() {
    if (!take("(")) return std::nullopt;
    std::vector<std::int64_t> numbers;
    while (!take(")")) {
      std::int64_t number = 0;
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), number);
      if (error != std::errc() || number < 0) return std::nullopt;
      numbers.push_back(number);
      rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
      skip_blanks();
      if (!take(",") && !rest_.starts_with(')')) return std::nullopt;
    }
    return numbers;
  }

  bool take(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    skip_blanks();
    return true;
  }

  void skip_blanks() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \n"), rest_.size()));
  }

  TensorView view(std::string_view values) {
    TensorView view;
    view.file = file_;
    view.shape = std::move(*shape_);
    view.dtype = *descr_ == "<f4" ? "F32" : *descr_ == "<f2" ? "F16" : "";
    if (view.dtype.empty()) {
      fail("has values of type " + excerpt(*descr_) + ", expected <f4 or <f2");
    }
    if (*fortran_order_) fail("is stored column by column, expected row by row");
    std::uint64_t expected = view.dtype == "F32" ? 4 : 2;
    for (const std::int64_t extent : view.shape) {
      if (__builtin_mul_overflow(expected, static_cast<std::uint64_t>(extent), &expected)) {
        fail("its shape " + view.shape_text() + " overflows");
      }
    }
    if (expected != values.size()) {
      fail("has " + std::to_string(values.size()) + " bytes of values, expected " +
           std::to_string(expected) + " for shape " + view.shape_text() + " of " +
           std::string(*descr_));
    }
    view.bytes = std::as_bytes(std::span(values));
    return view;
  }

  const std::string& file_;
  std::string_view rest_;
  std::optional<std::string_view> descr_;
  std::optional<bool> fortran_order_;
  std::optional<std::vector<std::int64_t>> shape_;
};

}  // namespace

TensorView parse_npy(std::span<const std::byte> bytes, const std::string& file) {
  return NpyReader(bytes, file).read();
}

}  // namespace runner
