#include "runner/package/embedding_parts.h"

#include <array>
#include <cstdint>
#include <string_view>
#include <system_error>
#include <utility>

#include "runner/error.h"
#include "runner/file_check.h"
#include "runner/mapped_file.h"
#include "runner/npy.h"
#include "runner/package/folder_listing.h"

namespace runner {
namespace {

namespace fs = std::filesystem;

// What mode jsons can say (npu_description.cc).
constexpr std::uint64_t kMostHidden = std::uint64_t{1} << 20U;
constexpr std::uint64_t kMostRows = std::uint64_t{1} << 24U;

struct EmbeddingTableName {
  std::string name;
  EmbeddingFormat format;
};

// The one that needs no conversion first.
std::vector<EmbeddingTableName> find_tables(const fs::path& directory) {
  constexpr std::array<std::pair<std::string_view, EmbeddingFormat>, 4> kEndings = {
      {{".bfloat16.bin", EmbeddingFormat::kBf16},
       {".bf16.bin", EmbeddingFormat::kBf16},
       {".float32.bin", EmbeddingFormat::kFloat32},
       {".npy", EmbeddingFormat::kNpy}}};
  std::vector<EmbeddingTableName> tables;
  const std::vector<std::string> names = file_names(directory);
  for (const auto& [ending, format] : kEndings) {
    for (const std::string& name : names) {
      if (is_plain_name(name) && name.ends_with(ending) &&
          name.find("embed_tokens") != std::string::npos) {
        tables.push_back({name, format});
      }
    }
  }
  return tables;
}

SizeHint npy_hint(const fs::path& path) {
  const MappedFile file(path);
  const TensorView array = parse_npy(file.bytes(), path.string());
  if (array.shape.size() != 2 || array.shape[0] > INT32_MAX || array.shape[1] > INT32_MAX) {
    throw Error(ErrorCode::kBadModel, path.string() + ": has shape " + array.shape_text() +
                                          ", expected [vocabulary, hidden]");
  }
  SizeHint hint;
  hint.source = path.string();
  hint.rows = static_cast<int>(array.shape[0]);
  hint.hidden = static_cast<int>(array.shape[1]);
  return hint;
}

// A table that is not taken does no harm when it is broken.
void add_npy_hint(const fs::path& path, std::vector<SizeHint>& hints) {
  try {
    hints.push_back(npy_hint(path));
  } catch (const Error&) {
    // Where it is the one that is taken, reading its values says so.
  }
}

std::uint64_t values_in(const fs::path& path, EmbeddingFormat format) {
  if (format == EmbeddingFormat::kNpy) {
    const SizeHint header = npy_hint(path);
    return static_cast<std::uint64_t>(header.rows) * static_cast<std::uint64_t>(header.hidden);
  }
  std::error_code error;
  const std::uint64_t bytes = fs::file_size(path, error);
  const std::uint64_t each = format == EmbeddingFormat::kBf16 ? 2 : 4;
  if (error || bytes % each != 0) {
    throw Error(ErrorCode::kBadModel, path.string() + ": has " + std::to_string(bytes) +
                                          " bytes, expected values of " + std::to_string(each));
  }
  return bytes / each;
}

// The hint with its rows, where not said, filled in; nullopt where it does not give `values`.
std::optional<SizeHint> agreeing(SizeHint hint, std::uint64_t values) {
  const auto hidden = static_cast<std::uint64_t>(hint.hidden);
  const std::uint64_t rows =
      hint.rows > 0 ? static_cast<std::uint64_t>(hint.rows) : values / hidden;
  if (rows == 0 || rows > kMostRows || hidden > kMostHidden || rows * hidden != values) {
    return std::nullopt;
  }
  hint.rows = static_cast<int>(rows);
  return hint;
}

[[noreturn]] void throw_sizes(const fs::path& path, std::uint64_t values,
                              const std::vector<SizeHint>& hints) {
  std::string what = path.string() + ": has " + std::to_string(values) + " values, ";
  if (hints.empty()) {
    what +=
        "and neither a config.json nor a run script or .npy file tells how many make a row; "
        "say it with --hidden";
  } else {
    const SizeHint& hint = hints.front();
    what += "expected " + (hint.rows > 0 ? std::to_string(hint.rows) : "whole") + " rows of ";
    what += std::to_string(hint.hidden) + ", by " + hint.source;
  }
  throw Error(ErrorCode::kBadModel, what);
}

SizeHint find_sizes(const fs::path& path, EmbeddingFormat format, std::vector<SizeHint> hints) {
  const std::uint64_t values = values_in(path, format);
  std::erase_if(hints, [](const SizeHint& hint) { return hint.hidden == 0; });
  for (const SizeHint& hint : hints) {
    if (auto sizes = agreeing(hint, values)) return *sizes;
  }
  throw_sizes(path, values, hints);
}

}  // namespace

std::optional<SizeHint> find_embedding_parts(const PartsWanted& wanted, std::vector<SizeHint> hints,
                                             PackageParts& parts) {
  const std::vector<EmbeddingTableName> tables = find_tables(parts.directory);
  if (tables.empty()) {
    parts.problems.push_back(parts.directory.string() +
                             ": has no file named like model.embed_tokens.weight.bfloat16.bin "
                             "(.float32.bin or .npy do too); AXERA's extract_embed.py makes it");
    return std::nullopt;
  }
  const fs::path path = parts.directory / tables.front().name;
  parts.embeddings = tables.front().name;
  parts.embedding_format = tables.front().format;
  if (tables.size() > 1 && tables[1].format == parts.embedding_format) {
    parts.problems.push_back(parts.directory.string() + ": has several tables of embeddings: " +
                             parts.embeddings + ", " + tables[1].name);
    return std::nullopt;
  }
  for (std::string& problem : file_problems({path}, "")) {
    parts.problems.push_back(std::move(problem));
    return std::nullopt;
  }
  try {
    if (wanted.hidden > 0) {
      hints = {{"--hidden", 0, 0, wanted.hidden, ""}};
    } else if (tables.back().format == EmbeddingFormat::kNpy) {
      // Its header has the sizes, whichever file the values are taken from.
      add_npy_hint(parts.directory / tables.back().name, hints);
    }
    const SizeHint sizes = find_sizes(path, parts.embedding_format, std::move(hints));
    parts.rows = sizes.rows;
    parts.hidden = sizes.hidden;
    parts.sizes_from = sizes.source;
    return sizes;
  } catch (const Error& error) {
    parts.problems.push_back(error.what());
    return std::nullopt;
  }
}

}  // namespace runner
