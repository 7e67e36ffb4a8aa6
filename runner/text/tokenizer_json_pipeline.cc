#include <optional>
#include <string>
#include <utility>

#include "runner/text/tokenizer_json_access.h"

namespace runner::tokenizer_json {
namespace {

// GPT-2's own way to cut text, for ByteLevel with use_regex
// (huggingface/tokenizers, pre_tokenizers/byte_level.rs).
constexpr const char* kByteLevelPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

constexpr std::string_view kSpaceSymbol = "\u2581";

// Calls visit(object, type) for the component itself, or for the parts of a Sequence in turn.
// A Sequence within a Sequence is none of those that exist, and would nest without limit.
template <typename Visit>
void each_component(const element& component, std::string_view name, std::string_view list_key,
                    const Visit& visit) {
  const auto outer = as<object>(component, name);
  const auto type = required<std::string_view>(outer, "type");
  if (type != "Sequence") return visit(outer, type);
  for (const element part : required<array>(outer, list_key)) {
    const auto inner = as<object>(part, name);
    visit(inner, required<std::string_view>(inner, "type"));
  }
}

ReplaceText read_replace(const object& component) {
  const auto pattern = required<object>(component, "pattern");
  const auto text = find(pattern, "String");
  if (!text) unsupported("pattern of Replace", "Regex", "String");
  ReplaceText replace{std::string(as<std::string_view>(*text, "String")),
                      std::string(required<std::string_view>(component, "content"))};
  if (replace.text.empty()) refuse_tokenizer("Replace looks for nothing");
  return replace;
}

SplitRule::Behavior split_behavior(std::string_view name) {
  using Behavior = SplitRule::Behavior;
  if (name == "Removed") return Behavior::kRemoved;
  if (name == "Isolated") return Behavior::kIsolated;
  if (name == "MergedWithPrevious") return Behavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return Behavior::kMergedWithNext;
  if (name == "Contiguous") return Behavior::kContiguous;
  unsupported("behavior of the pre_tokenizer Split", name,
              "Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous");
}

SplitRule read_split(const object& split) {
  SplitRule rule;
  const auto pattern = required<object>(split, "pattern");
  if (const auto regex = find(pattern, "Regex")) {
    rule.pattern = as<std::string_view>(*regex, "pattern");
  } else {
    rule.pattern = literal_pattern(required<std::string_view>(pattern, "String"));
  }
  rule.behavior = split_behavior(required<std::string_view>(split, "behavior"));
  rule.invert = optional(split, "invert", false);
  return rule;
}

// The steps of a pre_tokenizer. HuggingFace hands the pieces of one step to the next; here all
// rewriting comes first, so a step that rewrites text must not follow one that cuts it.
class PreTokenizerReader {
 public:
  explicit PreTokenizerReader(BpeDefinition& result) : result_(result) {}

  void read(const object& component, std::string_view type) {
    if (is_complete_) unsupported("pre_tokenizer after ByteLevel or Metaspace", type, "none");
    if (type == "Split") {
      result_.splits.push_back(read_split(component));
    } else if (type == "Digits") {
      const bool one_by_one = optional(component, "individual_digits", false);
      result_.splits.push_back({one_by_one ? R"(\p{N})" : R"(\p{N}+)", {}, false});
    } else if (type == "ByteLevel") {
      read_byte_level(component);
    } else if (type == "Metaspace") {
      read_metaspace(component);
    } else {
      unsupported("pre_tokenizer", type, "Split, Digits, ByteLevel, Metaspace");
    }
  }

  bool is_complete() const { return is_complete_; }

 private:
  void rewrite(std::string_view type, TextRewrite step) {
    if (!result_.splits.empty()) {
      unsupported("pre_tokenizer", std::string(type) + " that adds to text behind one that cuts it",
                  "the other order");
    }
    result_.rewrites.push_back(std::move(step));
  }

  void read_byte_level(const object& component) {
    is_complete_ = true;  // bytes have become symbols; no pattern could match text any more
    if (optional(component, "add_prefix_space", true)) {
      rewrite("ByteLevel", PrependText{" ", false, true});
    }
    if (optional(component, "use_regex", true)) {
      result_.splits.push_back({kByteLevelPattern, SplitRule::Behavior::kIsolated, false});
    }
  }

  void read_metaspace(const object& component) {
    is_complete_ = true;
    result_.symbols = BpeDefinition::Symbols::kCharacters;
    const auto symbol = optional<std::string_view>(component, "replacement", kSpaceSymbol);
    if (symbol != kSpaceSymbol) unsupported("replacement of Metaspace", symbol, kSpaceSymbol);
    rewrite("Metaspace", ReplaceText{" ", std::string(kSpaceSymbol)});
    // Older files say add_prefix_space in place of prepend_scheme.
    const bool adds = optional(component, "add_prefix_space", true);
    const auto scheme =
        optional<std::string_view>(component, "prepend_scheme", adds ? "always" : "never");
    if (scheme != "first" && scheme != "always" && scheme != "never") {
      unsupported("prepend_scheme of Metaspace", scheme, "first, always, never");
    }
    if (scheme != "never") {
      rewrite("Metaspace", PrependText{std::string(kSpaceSymbol), scheme == "first", true});
    }
    if (optional(component, "split", true)) {
      result_.splits.push_back(
          {literal_pattern(kSpaceSymbol), SplitRule::Behavior::kMergedWithNext, false});
    }
  }

  BpeDefinition& result_;
  bool is_complete_ = false;
};

void read_template(const object& processor, BpeDefinition& result) {
  const auto tokens = required<object>(processor, "special_tokens");
  bool is_behind_text = false;
  for (const element part : required<array>(processor, "single")) {
    const auto fields = as<object>(part, "a part of post_processor");
    if (find(fields, "Sequence")) {
      is_behind_text = true;
      continue;
    }
    const auto name = required<std::string_view>(required<object>(fields, "SpecialToken"), "id");
    const auto token = find(tokens, name);
    if (!token) refuse_tokenizer("special_tokens has no \"" + excerpt(name) + "\"");
    auto& ids = is_behind_text ? result.after : result.before;
    for (const element id : required<array>(as<object>(*token, name), "ids")) {
      ids.push_back(token_id(id, name));
    }
  }
}

}  // namespace

void read_normalizer(const object& root, BpeDefinition& result) {
  const std::optional<element> normalizer = find(root, "normalizer");
  if (!normalizer) return;
  each_component(*normalizer, "normalizer", "normalizers",
                 [&](const object& component, std::string_view type) {
                   if (type == "NFC") {
                     result.normalizers.emplace_back(ComposeNfc{});
                   } else if (type == "Prepend") {
                     result.normalizers.emplace_back(PrependText{
                         std::string(required<std::string_view>(component, "prepend"))});
                   } else if (type == "Replace") {
                     result.normalizers.emplace_back(read_replace(component));
                   } else {
                     unsupported("normalizer", type, "NFC, Prepend, Replace");
                   }
                 });
}

// Without ByteLevel or Metaspace tokens are spelled in characters, and spaces are replaced by the
// normalizer.
void read_pre_tokenizer(const object& root, BpeDefinition& result) {
  PreTokenizerReader reader(result);
  if (const std::optional<element> pre_tokenizer = find(root, "pre_tokenizer")) {
    each_component(
        *pre_tokenizer, "pre_tokenizer", "pretokenizers",
        [&](const object& component, std::string_view type) { reader.read(component, type); });
  }
  if (reader.is_complete()) return;
  result.symbols = BpeDefinition::Symbols::kCharacters;
  for (const TextRewrite& step : result.normalizers) {
    const auto* replace = std::get_if<ReplaceText>(&step);
    if (replace != nullptr && replace->text == " " && replace->with == kSpaceSymbol) return;
  }
  refuse_tokenizer(
      "has neither the pre_tokenizer ByteLevel nor Metaspace nor a normalizer that replaces spaces "
      "by U+2581; one of them is expected");
}

void read_post_processor(const object& root, BpeDefinition& result) {
  const std::optional<element> processor = find(root, "post_processor");
  if (!processor) return;
  each_component(*processor, "post_processor", "processors",
                 [&](const object& component, std::string_view type) {
                   if (type == "TemplateProcessing") {
                     read_template(component, result);
                   } else if (type != "ByteLevel") {  // which is about offsets only
                     unsupported("post_processor", type, "TemplateProcessing, ByteLevel");
                   }
                 });
}

// What a decoder does follows from how tokens are spelled; all there is to learn from it is what
// becomes of the first space, and whether it is one of those known.
void read_decoder(const object& root, BpeDefinition& result) {
  const bool is_bytes = result.symbols == BpeDefinition::Symbols::kByteAlphabet;
  const std::string_view supported =
      is_bytes ? "ByteLevel" : "Metaspace, Replace, ByteFallback, Fuse, Strip";
  const std::optional<element> decoder = find(root, "decoder");
  if (!decoder) unsupported("decoder", "null", supported);
  each_component(
      *decoder, "decoder", "decoders", [&](const object& component, std::string_view type) {
        if (is_bytes ? type == "ByteLevel"
                     : type == "Replace" || type == "ByteFallback" || type == "Fuse") {
          return;
        }
        if (is_bytes || (type != "Strip" && type != "Metaspace")) {
          unsupported("decoder", type, supported);
        }
        result.drops_first_space =
            type == "Strip"
                ? optional<std::int64_t>(component, "start", 0) > 0
                : optional<std::string_view>(component, "prepend_scheme", "always") != "never";
      });
}

}  // namespace runner::tokenizer_json
