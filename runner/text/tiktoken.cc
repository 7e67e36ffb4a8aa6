#include "runner/text/tiktoken.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <unordered_map>

#include "runner/error.h"
#include "runner/excerpt.h"
#include "runner/text/utf8_stream.h"

namespace runner {
namespace {

constexpr const char* kTiktokenFile = "tiktoken file";
// The largest vocabularies have some 260,000 tokens; ids index tables, so they are bounded.
constexpr std::uint32_t kMostRanks = 1U << 20U;
constexpr int kExtraTokens = 205;

constexpr const char* kQwenPattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";

// The 6 bits that a character of base64 stands for (RFC 4648, section 4).
std::optional<unsigned> base64_bits(char character) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const std::size_t bits = kAlphabet.find(character);
  if (bits == std::string_view::npos) return std::nullopt;
  return static_cast<unsigned>(bits);
}

// Nothing unless `text` is whole groups of four with nothing left over in the last one.
std::optional<std::string> decode_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  for (int padding = 0; padding < 2 && text.ends_with('='); ++padding) text.remove_suffix(1);
  std::string bytes;
  unsigned bits = 0;
  unsigned waiting = 0;  // bits
  for (const char character : text) {
    const std::optional<unsigned> six = base64_bits(character);
    if (!six) return std::nullopt;
    bits = (bits << 6U | *six) & 0xFFFU;
    waiting += 6;
    if (waiting < 8) continue;
    waiting -= 8;
    bytes += static_cast<char>(bits >> waiting);
    bits &= (1U << waiting) - 1;
  }
  if (bits != 0) return std::nullopt;
  return bytes;
}

[[noreturn]] void refuse_line(std::size_t number, const std::string& what) {
  throw Error(ErrorCode::kBadModel,
              std::string(kTiktokenFile) + ": line " + std::to_string(number) + what);
}

void read_line(std::string_view line, std::size_t number, BpeDefinition& result) {
  const std::size_t space = line.find(' ');
  const auto token = decode_base64(line.substr(0, space));
  if (!token || token->empty() || space == std::string_view::npos) {
    refuse_line(number, " is \"" + excerpt(to_valid_utf8(line)) +
                            "\", expected a token in base64 and a rank");
  }
  const std::string_view digits = line.substr(space + 1);
  std::uint32_t rank = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), rank);
  if (error != std::errc() || end != digits.data() + digits.size() || rank >= kMostRanks) {
    refuse_line(number, " has rank \"" + excerpt(to_valid_utf8(digits)) + "\", expected 0 to " +
                            std::to_string(kMostRanks - 1));
  }
  result.vocabulary.emplace_back(*token, static_cast<TokenId>(rank));
  result.ranks.push_back(rank);
}

void check_tokens_differ(const BpeDefinition& definition) {
  std::unordered_map<std::string_view, TokenId> ranks;
  for (const auto& [token, rank] : definition.vocabulary) {
    const auto [other, is_new] = ranks.emplace(token, rank);
    if (is_new) continue;
    throw Error(ErrorCode::kBadModel, std::string(kTiktokenFile) + ": ranks " +
                                          std::to_string(other->second) + " and " +
                                          std::to_string(rank) + " have the same token");
  }
}

void add_qwen_tokens(BpeDefinition& result) {
  TokenId next = 0;
  for (const auto& [token, rank] : result.vocabulary) next = std::max(next, rank + 1);
  const auto add = [&](const std::string& text) {
    result.added_tokens.push_back({.id = next++, .text = text, .special = true});
  };
  result.end_of_text = next;
  add("<|endoftext|>");
  add("<|im_start|>");
  add("<|im_end|>");
  for (int i = 0; i < kExtraTokens; ++i) add("<|extra_" + std::to_string(i) + "|>");
}

}  // namespace

BpeDefinition parse_tiktoken(std::string_view file) {
  BpeDefinition result;
  result.source = kTiktokenFile;
  result.symbols = BpeDefinition::Symbols::kBytes;
  result.ignore_merges = true;
  for (std::size_t number = 1; !file.empty(); ++number) {
    const std::size_t end = std::min(file.find('\n'), file.size());
    std::string_view line = file.substr(0, end);
    file.remove_prefix(std::min(end + 1, file.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) read_line(line, number, result);
  }
  if (result.vocabulary.empty()) {
    throw Error(ErrorCode::kBadModel, std::string(kTiktokenFile) + ": has no tokens");
  }
  check_tokens_differ(result);
  add_qwen_tokens(result);
  result.normalizers.emplace_back(ComposeNfc{});
  result.splits.push_back({.pattern = kQwenPattern});
  return result;
}

}  // namespace runner
