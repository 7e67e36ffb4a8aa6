#include "runner/text/tokenizer_json.h"

#include <simdjson.h>

#include <cstdint>
#include <optional>
#include <utility>

#include "runner/error.h"
#include "runner/excerpt.h"
#include "runner/text/tokenizer_json_access.h"

namespace runner {
namespace tokenizer_json {

// The largest vocabularies have some 260,000 tokens; ids index tables, so they are bounded.
constexpr std::int64_t kMostTokens = 1 << 20;

TokenId token_id(const element& value, std::string_view token) {
  const auto id = as<std::int64_t>(value, "the id of token " + excerpt(token));
  if (id < 0 || id >= kMostTokens) {
    refuse_tokenizer("token \"" + excerpt(token) + "\" has id " + std::to_string(id) +
                     ", expected 0 to " + std::to_string(kMostTokens - 1));
  }
  return static_cast<TokenId>(id);
}

namespace {

void check_model(const object& model) {
  const auto type = optional<std::string_view>(model, "type", "BPE");
  if (type != "BPE") unsupported("model", type, "BPE");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const auto affix = optional<std::string_view>(model, key, "");
    if (!affix.empty()) unsupported(key, affix, "none");
  }
  if (const auto dropout = find(model, "dropout")) {
    double share = 0;
    if (dropout->get(share) || share != 0) unsupported("dropout", "other than 0", "none");
  }
}

// "a b" in older files, ["a", "b"] in newer ones.
std::pair<std::string, std::string> read_merge(const element& merge) {
  std::string_view text;
  if (merge.get(text) == simdjson::SUCCESS) {
    const std::size_t space = text.find(' ');
    if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) {
      refuse_tokenizer("merge \"" + excerpt(text) + "\" is not two tokens with a space between");
    }
    return {std::string(text.substr(0, space)), std::string(text.substr(space + 1))};
  }
  const auto pair = as<array>(merge, "a merge");
  if (pair.size() != 2)
    refuse_tokenizer("a merge has " + std::to_string(pair.size()) + " parts, expected 2");
  return {std::string(as<std::string_view>(pair.at(0), "a merge")),
          std::string(as<std::string_view>(pair.at(1), "a merge"))};
}

void read_unknown(const object& model, BpeDefinition& result) {
  result.byte_fallback = optional(model, "byte_fallback", false);
  result.fuse_unknown = optional(model, "fuse_unk", false);
  const auto name = find(model, "unk_token");
  if (!name) return;
  const auto text = as<std::string_view>(*name, "unk_token");
  for (const auto& [spelling, id] : result.vocabulary) {
    if (spelling == text) result.unknown = id;
  }
  if (!result.unknown) refuse_tokenizer("unk_token \"" + excerpt(text) + "\" is not in vocab");
}

void read_model(const object& root, BpeDefinition& result) {
  const auto model = required<object>(root, "model");
  check_model(model);
  result.ignore_merges = optional(model, "ignore_merges", false);
  const auto vocabulary = required<object>(model, "vocab");
  result.vocabulary.reserve(vocabulary.size());
  for (const auto [token, id] : vocabulary) {
    result.vocabulary.emplace_back(token, token_id(id, token));
  }
  const auto merges = required<array>(model, "merges");
  result.merges.reserve(merges.size());
  for (const element merge : merges) result.merges.push_back(read_merge(merge));
  read_unknown(model, result);
}

void read_added_tokens(const object& root, BpeDefinition& result) {
  const std::optional<element> tokens = find(root, "added_tokens");
  if (!tokens) return;
  for (const element entry : as<array>(*tokens, "added_tokens")) {
    const auto fields = as<object>(entry, "an added token");
    AddedToken token;
    token.text = required<std::string_view>(fields, "content");
    if (token.text.empty()) continue;
    const std::optional<element> id = find(fields, "id");
    if (!id) refuse_tokenizer("added token \"" + excerpt(token.text) + "\" has no id");
    token.id = token_id(*id, token.text);
    token.special = optional(fields, "special", false);
    token.lstrip = optional(fields, "lstrip", false);
    token.rstrip = optional(fields, "rstrip", false);
    token.normalized = optional(fields, "normalized", !token.special);
    token.single_word = optional(fields, "single_word", false);
    result.added_tokens.push_back(std::move(token));
  }
}

}  // namespace
}  // namespace tokenizer_json

BpeDefinition parse_tokenizer_json(std::string_view json) {
  using namespace tokenizer_json;
  simdjson::dom::parser parser;
  const simdjson::padded_string padded(json);
  object root;
  if (const auto error = parser.parse(padded).get(root)) {
    refuse_tokenizer(std::string("is not a JSON object: ") + simdjson::error_message(error));
  }
  BpeDefinition result;
  result.source = "tokenizer.json";
  read_model(root, result);
  read_added_tokens(root, result);
  read_normalizer(root, result);
  read_pre_tokenizer(root, result);
  read_post_processor(root, result);
  read_decoder(root, result);
  return result;
}

void refuse_tokenizer(const std::string& what) {
  throw Error(ErrorCode::kBadModel, "tokenizer.json: " + what);
}

}  // namespace runner
