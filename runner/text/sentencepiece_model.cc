#include "runner/text/sentencepiece_model.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "runner/error.h"
#include "runner/excerpt.h"
#include "runner/text/chars_map.h"
#include "runner/text/protobuf_reader.h"
#include "runner/text/utf8_stream.h"

namespace runner {
namespace {

constexpr const char* kSource = "SentencePiece model";
// The largest vocabularies have some 260,000 tokens; ids index tables, so they are bounded.
constexpr std::size_t kMostPieces = 1U << 20U;
constexpr std::size_t kMostPieceBytes = 8000;  // as in SentencePiece

// Values as in the file, defaults where it says nothing.
struct Piece {
  enum class Type { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };

  std::string text;
  float score = 0;
  Type type = Type::kNormal;
};

struct TrainerSpec {
  std::uint64_t model_type = 1;
  bool treat_whitespace_as_suffix = false;
  bool byte_fallback = false;
  std::string begin_piece = "<s>";
  std::string end_piece = "</s>";
};

struct NormalizerSpec {
  std::string_view precompiled_charsmap;
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
};

struct ModelFile {
  std::vector<Piece> pieces;  // by id
  TrainerSpec trainer;
  NormalizerSpec normalizer;
  NormalizerSpec denormalizer;
};

[[noreturn]] void refuse_model(const std::string& what) {
  throw Error(ErrorCode::kBadModel, std::string(kSource) + ": " + what);
}

Piece read_piece(std::string_view message, std::size_t id) {
  const std::string name = std::string(kSource) + ": piece " + std::to_string(id);
  Piece piece;
  for (ProtobufReader field(name, message); field.next();) {
    if (field.number() == 1) piece.text = field.bytes();
    if (field.number() == 2) piece.score = field.float32();
    if (field.number() == 3) {
      const std::uint64_t type = field.varint();
      if (type < 1 || type > 6) {
        throw Error(ErrorCode::kBadModel,
                    name + " has type " + std::to_string(type) + ", expected 1 to 6");
      }
      piece.type = static_cast<Piece::Type>(type);
    }
  }
  return piece;
}

TrainerSpec read_trainer(std::string_view message) {
  TrainerSpec trainer;
  for (ProtobufReader field("SentencePiece model: trainer_spec", message); field.next();) {
    if (field.number() == 3) trainer.model_type = field.varint();
    if (field.number() == 24) trainer.treat_whitespace_as_suffix = field.boolean();
    if (field.number() == 35) trainer.byte_fallback = field.boolean();
    if (field.number() == 46) trainer.begin_piece = field.bytes();
    if (field.number() == 47) trainer.end_piece = field.bytes();
  }
  return trainer;
}

NormalizerSpec read_normalizer(std::string_view message) {
  NormalizerSpec normalizer;
  for (ProtobufReader field("SentencePiece model: normalizer_spec", message); field.next();) {
    if (field.number() == 2) normalizer.precompiled_charsmap = field.bytes();
    if (field.number() == 3) normalizer.add_dummy_prefix = field.boolean();
    if (field.number() == 4) normalizer.remove_extra_whitespaces = field.boolean();
    if (field.number() == 5) normalizer.escape_whitespaces = field.boolean();
  }
  return normalizer;
}

ModelFile read_model_file(std::string_view bytes) {
  ModelFile file;
  for (ProtobufReader field(kSource, bytes); field.next();) {
    if (field.number() == 1) {
      if (file.pieces.size() == kMostPieces) {
        refuse_model("has more than " + std::to_string(kMostPieces) + " pieces");
      }
      file.pieces.push_back(read_piece(field.bytes(), file.pieces.size()));
    }
    if (field.number() == 2) file.trainer = read_trainer(field.bytes());
    if (field.number() == 3) file.normalizer = read_normalizer(field.bytes());
    if (field.number() == 5) file.denormalizer = read_normalizer(field.bytes());
  }
  if (file.pieces.empty()) refuse_model("has no pieces");
  return file;
}

void check_model_type(std::uint64_t type) {
  constexpr std::uint64_t kBpe = 2;
  if (type == kBpe) return;
  constexpr const char* kNames[] = {"unigram", "", "word", "char"};
  const bool has_name = type >= 1 && type <= std::size(kNames);
  refuse_model("model_type \"" + (has_name ? kNames[type - 1] : std::to_string(type)) +
               "\" is not supported; supported: bpe");
}

void check_settings(const ModelFile& file) {
  check_model_type(file.trainer.model_type);
  if (file.trainer.treat_whitespace_as_suffix) {
    refuse_model("treat_whitespace_as_suffix is not supported");
  }
  if (!file.normalizer.escape_whitespaces) {
    refuse_model("escape_whitespaces \"false\" is not supported; supported: true");
  }
  if (!file.denormalizer.precompiled_charsmap.empty()) {
    refuse_model("denormalizer_spec with a precompiled_charsmap is not supported");
  }
}

void check_pieces(const ModelFile& file) {
  std::unordered_set<std::string_view> texts;
  for (std::size_t id = 0; id < file.pieces.size(); ++id) {
    const Piece& piece = file.pieces[id];
    const std::string name = "piece " + std::to_string(id);
    if (piece.text.empty() || piece.text.size() >= kMostPieceBytes) {
      refuse_model(name + " has " + std::to_string(piece.text.size()) + " bytes, expected 1 to " +
                   std::to_string(kMostPieceBytes - 1));
    }
    if (!is_valid_utf8(piece.text)) refuse_model(name + " is not UTF-8");
    const std::string named = name + " \"" + excerpt(piece.text) + "\"";
    if (!texts.insert(piece.text).second) refuse_model(named + " is there twice");
    if (!std::isfinite(piece.score)) refuse_model(named + " has a score that is not finite");
    if (piece.type == Piece::Type::kUnused) {
      refuse_model(named + " is of type UNUSED, which is not supported");
    }
    if (piece.type == Piece::Type::kByte && !file.trainer.byte_fallback) {
      refuse_model(named + " is of type BYTE, but there is no byte_fallback");
    }
  }
}

// Equal scores give equal ranks: among those SentencePiece goes by place.
std::vector<std::uint32_t> ranks_of(const std::vector<Piece>& pieces) {
  std::vector<float> scores;
  for (const Piece& piece : pieces) {
    if (piece.type == Piece::Type::kNormal) scores.push_back(piece.score);
  }
  std::sort(scores.begin(), scores.end(), std::greater<>());
  std::vector<std::uint32_t> ranks;
  for (const Piece& piece : pieces) {
    const auto place =
        std::lower_bound(scores.begin(), scores.end(), piece.score, std::greater<>());
    ranks.push_back(static_cast<std::uint32_t>(place - scores.begin()));
  }
  return ranks;
}

void add_pieces(const ModelFile& file, BpeDefinition& result) {
  const std::vector<std::uint32_t> ranks = ranks_of(file.pieces);
  for (std::size_t i = 0; i < file.pieces.size(); ++i) {
    const auto& [text, score, type] = file.pieces[i];
    const auto id = static_cast<TokenId>(i);
    if (type == Piece::Type::kNormal || type == Piece::Type::kByte) {
      result.vocabulary.emplace_back(text, id);
      result.ranks.push_back(type == Piece::Type::kNormal ? ranks[i] : BpeDefinition::kNoRank);
    } else if (type == Piece::Type::kUserDefined) {
      result.added_tokens.push_back({.id = id, .text = text, .normalized = true, .verbatim = true});
    } else {
      result.added_tokens.push_back({.id = id, .text = text, .special = true});
    }
    if (type == Piece::Type::kUnknown) {
      if (result.unknown)
        refuse_model("pieces " + std::to_string(*result.unknown) + " and " + std::to_string(i) +
                     " are both of type UNKNOWN");
      result.unknown = id;
    }
    if (type != Piece::Type::kControl) continue;
    if (text == file.trainer.begin_piece) result.before = {id};
    if (text == file.trainer.end_piece) result.end_of_text = id;
  }
  if (!result.unknown) refuse_model("has no piece of type UNKNOWN");
}

std::vector<TextRewrite> normalizers_of(const ModelFile& file) {
  std::vector<TextRewrite> steps;
  if (!file.normalizer.precompiled_charsmap.empty()) {
    std::vector<std::string> kept;
    for (const Piece& piece : file.pieces) {
      if (piece.type == Piece::Type::kUserDefined) kept.push_back(piece.text);
    }
    steps.emplace_back(
        ReplaceCharacters{std::make_shared<CharsMap>(file.normalizer.precompiled_charsmap, kept)});
  }
  if (file.normalizer.remove_extra_whitespaces) steps.emplace_back(CollapseSpaces{});
  if (file.normalizer.add_dummy_prefix) steps.emplace_back(PrependText{.text = " "});
  steps.emplace_back(ReplaceText{.text = " ", .with = "\u2581"});
  return steps;
}

}  // namespace

BpeDefinition parse_sentencepiece_model(std::string_view bytes) {
  const ModelFile file = read_model_file(bytes);
  check_settings(file);
  check_pieces(file);
  BpeDefinition result;
  result.source = kSource;
  result.symbols = BpeDefinition::Symbols::kCharacters;
  result.byte_fallback = file.trainer.byte_fallback;
  result.fuse_unknown = true;
  add_pieces(file, result);
  result.normalizers = normalizers_of(file);
  result.drops_first_space =
      file.normalizer.add_dummy_prefix || file.normalizer.remove_extra_whitespaces;
  return result;
}

}  // namespace runner
