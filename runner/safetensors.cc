#include "runner/safetensors.h"

#include <simdjson.h>

#include <bit>
#include <cstring>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "runner/error.h"

namespace runner {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian");

// The limit of the reference implementation; a header needs about 100 bytes a tensor.
constexpr std::uint64_t kMostHeaderBytes = 100'000'000;
constexpr std::string_view kGitLfs = "version https://git-lfs";

// Bytes of one value, or 0 for a dtype whose values we do not know.
std::size_t value_bytes(std::string_view dtype) {
  if (dtype == "F64" || dtype == "I64" || dtype == "U64") return 8;
  if (dtype == "F32" || dtype == "I32" || dtype == "U32") return 4;
  if (dtype == "BF16" || dtype == "F16" || dtype == "I16" || dtype == "U16") return 2;
  if (dtype == "I8" || dtype == "U8" || dtype == "BOOL" || dtype.starts_with("F8_")) return 1;
  return 0;
}

bool is_readable(std::string_view dtype) {
  return dtype == "BF16" || dtype == "F16" || dtype == "F32";
}

std::string shape_string(std::span<const std::int64_t> shape) {
  std::string text = "[";
  for (const std::int64_t extent : shape) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(extent);
  }
  return text + "]";
}

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Reads one file's header; every message begins with the file.
class HeaderReader {
 public:
  HeaderReader(std::string file, std::span<const std::byte> bytes)
      : file_(std::move(file)), bytes_(bytes) {}

  std::vector<TensorView> read() {
    const std::string_view json = header();
    simdjson::dom::parser parser(kMostHeaderBytes + simdjson::SIMDJSON_PADDING);
    simdjson::dom::object object;
    if (const auto error = parser.parse(simdjson::padded_string(json)).get(object)) {
      fail("the header is not a JSON object: " + std::string(simdjson::error_message(error)));
    }
    std::vector<TensorView> tensors;
    for (const auto [name, value] : object) {
      if (name == "__metadata__") continue;
      tensors.push_back(tensor(std::string(name), value));
    }
    return tensors;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::kBadModel, file_ + ": " + what);
  }
  [[noreturn]] void fail(const std::string& tensor, const std::string& what) const {
    fail("tensor " + tensor + ": " + what);
  }

  // Leaves the data behind the header in data_.
  std::string_view header() {
    if (as_text(bytes_).starts_with(kGitLfs)) {
      fail("is a Git LFS pointer, not the model; run `git lfs pull`");
    }
    std::uint64_t length = 0;
    if (bytes_.size() < sizeof length) {
      fail("is truncated or not a safetensors file: it has " + std::to_string(bytes_.size()) +
           " bytes, the header length alone takes 8");
    }
    std::memcpy(&length, bytes_.data(), sizeof length);
    if (length > kMostHeaderBytes) {
      fail("is not a safetensors file: a header of " + std::to_string(length) +
           " bytes is announced, at most " + std::to_string(kMostHeaderBytes) + " are allowed");
    }
    if (length > bytes_.size() - sizeof length) {
      fail("is truncated: the header ends at byte " + std::to_string(sizeof length + length) +
           ", the file has " + std::to_string(bytes_.size()));
    }
    const auto rest = bytes_.subspan(sizeof length);
    data_ = rest.subspan(static_cast<std::size_t>(length));
    return as_text(rest.first(static_cast<std::size_t>(length)));
  }

  TensorView tensor(std::string name, simdjson::dom::element entry) const {
    TensorView view;
    view.name = std::move(name);
    view.file = file_;
    simdjson::dom::object object;
    if (entry.get(object)) fail(view.name, "its entry is not an object");
    std::string_view dtype;
    if (object["dtype"].get(dtype)) fail(view.name, "it has no dtype");
    view.dtype = dtype;
    view.shape = numbers(view.name, object, "shape");
    const std::vector<std::int64_t> offsets = numbers(view.name, object, "data_offsets");
    if (offsets.size() != 2) {
      fail(view.name, "data_offsets has " + std::to_string(offsets.size()) + " numbers, not 2");
    }
    const auto begin = static_cast<std::uint64_t>(offsets[0]);
    const auto end = static_cast<std::uint64_t>(offsets[1]);
    if (begin > end) {
      fail(view.name, "data_offsets " + shape_string(offsets) + " end before they begin");
    }
    if (end > data_.size()) {
      fail(view.name, "the file is truncated: the tensor ends at byte " + std::to_string(end) +
                          " of the data, the file has " + std::to_string(data_.size()));
    }
    view.bytes =
        data_.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
    check_bytes(view);
    return view;
  }

  std::vector<std::int64_t> numbers(const std::string& name, simdjson::dom::object object,
                                    std::string_view key) const {
    simdjson::dom::array array;
    if (object[key].get(array)) fail(name, std::string(key) + " is missing or not an array");
    std::vector<std::int64_t> result;
    for (const auto element : array) {
      std::int64_t number = 0;
      if (element.get(number) || number < 0) {
        fail(name, std::string(key) + " holds something else than whole numbers from 0");
      }
      result.push_back(number);
    }
    return result;
  }

  // The shape's product must be what the offsets span.
  void check_bytes(const TensorView& view) const {
    const std::size_t each = value_bytes(view.dtype);
    if (each == 0) return;
    std::uint64_t expected = each;
    for (const std::int64_t extent : view.shape) {
      if (__builtin_mul_overflow(expected, static_cast<std::uint64_t>(extent), &expected)) {
        fail(view.name, "shape " + view.shape_text() + " overflows");
      }
    }
    if (expected != view.bytes.size()) {
      fail(view.name, "shape " + view.shape_text() + " of " + view.dtype + " takes " +
                          std::to_string(expected) + " bytes, data_offsets span " +
                          std::to_string(view.bytes.size()));
    }
  }

  std::string file_;
  std::span<const std::byte> bytes_;
  std::span<const std::byte> data_;
};

// IEEE half to float: exact, subnormals and infinities included.
float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000U) << 16;
  const std::uint32_t magnitude = half & 0x7fffU;
  if (magnitude >= 0x7c00U) {  // infinity and NaN
    return std::bit_cast<float>(sign | 0x7f800000U | ((magnitude & 0x3ffU) << 13));
  }
  // Read as a float of a 2^112 times smaller exponent, then scaled: exact for subnormals too.
  const float scaled = std::bit_cast<float>(magnitude << 13) * 0x1p112F;
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(scaled));
}

template <typename Value>
Value load(const std::byte* bytes, std::size_t index) {
  Value value;
  std::memcpy(&value, bytes + index * sizeof value, sizeof value);
  return value;
}

void require_readable(const TensorView& tensor) {
  if (is_readable(tensor.dtype)) return;
  throw Error(ErrorCode::kBadModel, tensor.file + ": tensor " + tensor.name + " has dtype " +
                                        tensor.dtype + "; BF16, F16 and F32 can be read");
}

// Calls store(index, float) for every value of an F16 or F32 tensor.
template <typename Store>
void each_float(const TensorView& tensor, const Store& store) {
  const std::byte* bytes = tensor.bytes.data();
  const std::size_t values = tensor.values();
  if (tensor.dtype == "F32") {
    for (std::size_t i = 0; i < values; ++i) store(i, load<float>(bytes, i));
  } else {
    for (std::size_t i = 0; i < values; ++i) {
      store(i, half_to_float(load<std::uint16_t>(bytes, i)));
    }
  }
}

// The shard names in an index, each once. They are names in the index's own folder: a path that
// leads elsewhere is refused.
std::set<std::string> shard_names(const std::filesystem::path& index) {
  const MappedFile file(index);
  if (as_text(file.bytes()).starts_with(kGitLfs)) {
    throw Error(ErrorCode::kBadModel,
                index.string() + ": is a Git LFS pointer, not the model; run `git lfs pull`");
  }
  simdjson::dom::parser parser;
  simdjson::dom::object map;
  if (const auto error =
          parser.parse(simdjson::padded_string(as_text(file.bytes())))["weight_map"].get(map)) {
    throw Error(ErrorCode::kBadModel,
                index.string() + ": no object \"weight_map\": " + simdjson::error_message(error));
  }
  std::set<std::string> names;
  for (const auto [tensor, value] : map) {
    std::string_view name;
    if (value.get(name) || name.empty() || name == ".." || name.find('/') != name.npos ||
        name.find('\0') != name.npos) {
      throw Error(ErrorCode::kBadModel, index.string() + ": weight_map of tensor " +
                                            std::string(tensor) +
                                            " is not the name of a file beside it");
    }
    names.emplace(name);
  }
  if (names.empty()) throw Error(ErrorCode::kBadModel, index.string() + ": weight_map is empty");
  return names;
}

}  // namespace

std::size_t TensorView::values() const {
  std::size_t product = 1;
  for (const std::int64_t extent : shape) product *= static_cast<std::size_t>(extent);
  return product;
}

std::string TensorView::shape_text() const { return shape_string(shape); }

Safetensors Safetensors::open_file(const std::filesystem::path& file) {
  Safetensors result(file.string());
  result.add_file(file);
  return result;
}

Safetensors Safetensors::open_directory(const std::filesystem::path& directory) {
  const std::filesystem::path single = directory / "model.safetensors";
  const std::filesystem::path index = directory / "model.safetensors.index.json";
  Safetensors result(directory.string());
  if (std::filesystem::exists(single)) {
    result.add_file(single);
  } else if (std::filesystem::exists(index)) {
    for (const std::string& name : shard_names(index)) result.add_file(directory / name);
  } else {
    throw Error(ErrorCode::kNotFound, directory.string() +
                                          ": neither model.safetensors nor "
                                          "model.safetensors.index.json is there");
  }
  return result;
}

void Safetensors::add_file(const std::filesystem::path& file) {
  files_.push_back(std::make_unique<MappedFile>(file));
  for (TensorView& tensor : HeaderReader(file.string(), files_.back()->bytes()).read()) {
    const auto [position, added] = tensors_.try_emplace(tensor.name, tensor);
    if (!added) {
      throw Error(ErrorCode::kBadModel, file.string() + ": tensor " + tensor.name +
                                            " is given twice, first in " + position->second.file);
    }
  }
}

const TensorView* Safetensors::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

const TensorView& Safetensors::at(std::string_view name) const {
  const TensorView* tensor = find(name);
  if (tensor == nullptr) {
    throw Error(ErrorCode::kBadModel, source_ + ": tensor " + std::string(name) + " is missing (" +
                                          std::to_string(tensors_.size()) + " others are there)");
  }
  return *tensor;
}

const TensorView& Safetensors::at(std::string_view name,
                                  const std::vector<std::int64_t>& shape) const {
  const TensorView& tensor = at(name);
  if (tensor.shape != shape) {
    throw Error(ErrorCode::kBadModel, tensor.file + ": tensor " + tensor.name + " has shape " +
                                          tensor.shape_text() + ", expected " +
                                          shape_string(shape));
  }
  require_readable(tensor);
  return tensor;
}

std::size_t Safetensors::file_bytes() const {
  std::size_t total = 0;
  for (const auto& file : files_) total += file->bytes().size();
  return total;
}

void Safetensors::will_need() const {
  for (const auto& file : files_) file->will_need();
}

void copy_as_bf16(const TensorView& tensor, std::span<Bf16> out) {
  require_readable(tensor);
  if (tensor.dtype == "BF16") {
    if (!out.empty()) std::memcpy(out.data(), tensor.bytes.data(), tensor.bytes.size());
  } else {
    each_float(tensor, [out](std::size_t index, float value) { out[index] = to_bf16(value); });
  }
}

std::vector<float> as_floats(const TensorView& tensor) {
  require_readable(tensor);
  std::vector<float> out(tensor.values());
  if (tensor.dtype == "BF16") {
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] = to_float(load<Bf16>(tensor.bytes.data(), i));
    }
  } else {
    each_float(tensor, [&out](std::size_t index, float value) { out[index] = value; });
  }
  return out;
}

}  // namespace runner
