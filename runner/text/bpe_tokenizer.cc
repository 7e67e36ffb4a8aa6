#include "runner/text/bpe_tokenizer.h"

#include <algorithm>
#include <span>
#include <utility>

#include "runner/text/utf8_stream.h"

namespace runner {
namespace {

// Calls on_token(id) and on_text(part) for the parts of `text`, in order.
template <typename OnToken, typename OnText>
void each_part(std::string_view text, const AddedTokenMatcher& matcher,
               std::span<const TextRange> outside, const OnToken& on_token, const OnText& on_text) {
  std::size_t at = 0;
  while (const auto match = matcher.find(text, at, outside)) {
    if (at < match->range.begin) on_text(text.substr(at, match->range.begin - at));
    on_token(match->id);
    at = match->range.end;
  }
  if (at < text.size()) on_text(text.substr(at));
}

}  // namespace

BpeTokenizer::BpeTokenizer(const BpeDefinition& definition)
    : vocabulary_(definition),
      symbols_(definition.symbols),
      normalizer_(definition.normalizers),
      rewriter_(definition.rewrites),
      pretokenizer_(definition.splits),
      before_normalizing_(select(definition, false)),
      after_normalizing_(select(definition, true)),
      drops_first_space_(definition.drops_first_space),
      before_(definition.before),
      after_(definition.after),
      end_of_text_(definition.end_of_text),
      highest_(vocabulary_.size() - 1) {
  for (const AddedToken& token : definition.added_tokens) {
    added_[token.id] = {vocabulary_.bytes_of(token.text), token.special};
    added_ids_.emplace(token.text, token.id);
    highest_ = std::max(highest_, token.id);
  }
}

// Special tokens are looked for in the text as it came, whatever they say of themselves: only there
// is it known which parts are from outside.
std::vector<AddedToken> BpeTokenizer::select(const BpeDefinition& definition,
                                             bool after_normalizing) const {
  std::vector<AddedToken> tokens;
  for (AddedToken token : definition.added_tokens) {
    if ((token.normalized && !token.special) != after_normalizing) continue;
    if (after_normalizing && !token.verbatim) {
      token.text = normalizer_.rewrite(to_valid_utf8(token.text), true);
    }
    if (!token.text.empty()) tokens.push_back(std::move(token));
  }
  return tokens;
}

std::vector<TokenId> BpeTokenizer::encode(const PromptText& text) const {
  std::vector<TokenId> ids;
  const auto push = [&ids](TokenId id) { ids.push_back(id); };
  const std::string& whole = text.text();
  each_part(whole, before_normalizing_, text.outside(), push, [&](std::string_view section) {
    const bool is_first = section.data() == whole.data();
    std::string rewritten;
    if (!normalizer_.empty()) section = rewritten = normalizer_.rewrite(section, is_first);
    each_part(section, after_normalizing_, {}, push, [&](std::string_view part) {
      encode_part(part, is_first && part.data() == section.data(), ids);
    });
  });
  return ids;
}

std::vector<TokenId> BpeTokenizer::encode(std::string_view text, SpecialText special) const {
  PromptText prompt;
  if (special == SpecialText::kOrdinary) {
    prompt.add_outside(text);
  } else {
    prompt.add_own(to_valid_utf8(text));
  }
  return encode(prompt);
}

void BpeTokenizer::encode_part(std::string_view part, bool is_first,
                               std::vector<TokenId>& ids) const {
  if (rewriter_.empty()) return cut_and_encode(part, ids);
  cut_and_encode(rewriter_.rewrite(part, is_first), ids);
}

void BpeTokenizer::cut_and_encode(std::string_view text, std::vector<TokenId>& ids) const {
  std::vector<std::string_view> pieces;
  pretokenizer_.split(text, pieces);
  for (std::string_view piece : pieces) {
    if (vocabulary_.can_cut_before_spaces()) {
      // Many small pieces merge faster than a large one.
      constexpr std::string_view kSpace = "\u2581";
      std::size_t at = kSpace.size();
      while ((at = piece.find(kSpace, at)) != std::string_view::npos) {
        if (piece.substr(0, at).ends_with(kSpace)) {
          at += kSpace.size();
          continue;
        }
        vocabulary_.encode(piece.substr(0, at), ids);
        piece.remove_prefix(at);
        at = kSpace.size();
      }
    }
    vocabulary_.encode(piece, ids);
  }
}

const BpeTokenizer::Added* BpeTokenizer::find_added(TokenId token) const {
  const auto found = added_.find(token);
  return found == added_.end() ? nullptr : &found->second;
}

std::string_view BpeTokenizer::bytes(TokenId token) const {
  return is_special(token) ? std::string_view() : spelling(token);
}

std::string_view BpeTokenizer::spelling(TokenId token) const {
  const Added* added = find_added(token);
  return added != nullptr ? std::string_view(added->text) : vocabulary_.bytes(token);
}

bool BpeTokenizer::is_special(TokenId token) const {
  const Added* added = find_added(token);
  return added != nullptr && added->special;
}

std::optional<TokenId> BpeTokenizer::find(std::string_view text) const {
  const auto added = added_ids_.find(std::string(text));
  return added != added_ids_.end() ? added->second : vocabulary_.find(text);
}

int BpeTokenizer::vocab() const { return highest_ + 1; }

std::string_view BpeTokenizer::kind() const {
  return symbols_ == BpeDefinition::Symbols::kCharacters ? "SentencePiece BPE" : "byte-level BPE";
}

}  // namespace runner
