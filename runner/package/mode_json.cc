#include "runner/package/mode_json.h"

#include <array>
#include <charconv>
#include <optional>
#include <string_view>

namespace runner {
namespace {

// Members of a JSON object, a line each. Texts are plain names and URLs: nothing to escape.
class Members {
 public:
  explicit Members(std::string indent) : indent_(std::move(indent)) {}

  void raw(std::string_view key, std::string_view json) {
    text_ += (text_.empty() ? "\n" : ",\n") + indent_ + "\"" + std::string(key) +
             "\": " + std::string(json);
  }
  void add(std::string_view key, const std::string& value) { raw(key, "\"" + value + "\""); }
  void add(std::string_view key, int value) { raw(key, std::to_string(value)); }
  void add(std::string_view key, bool value) { raw(key, value ? "true" : "false"); }
  void add(std::string_view key, double value) {
    std::array<char, 32> digits{};  // the longest double has 24
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    raw(key, {digits.data(), static_cast<std::size_t>(end - digits.data())});
  }
  template <typename Value>
  void add(std::string_view key, const std::optional<Value>& value) {
    if (value) add(key, *value);
  }

  const std::string& text() const { return text_; }

 private:
  std::string indent_;
  std::string text_;
};

void add_tokenizer(Members& members, const PackageParts& parts) {
  members.add("tokenizer_type", parts.tokenizer_type);
  if (parts.tokenizer_type == 2) {
    // Units differ in which of the two they read; the address is a sign that it is a service.
    members.add("filename_tokenizer_model", std::string("http://localhost:8080"));
    members.add("url_tokenizer_model", std::string("http://localhost:8080"));
  } else {
    members.add("filename_tokenizer_model", parts.tokenizer.filename().string());
  }
}

void add_samplers(Members& members, const ModeParams& samplers) {
  members.add("enable_temperature", samplers.enable_temperature);
  members.add("temperature", samplers.temperature);
  members.add("enable_top_p_sampling", samplers.enable_top_p_sampling);
  members.add("top_p", samplers.top_p);
  members.add("enable_top_k_sampling", samplers.enable_top_k_sampling);
  members.add("top_k", samplers.top_k);
  members.add("enable_repetition_penalty", samplers.enable_repetition_penalty);
  members.add("repetition_penalty", samplers.repetition_penalty);
  members.add("penalty_window", samplers.penalty_window);
}

}  // namespace

std::string mode_json_text(const PackageOptions& options, const PackageParts& parts,
                           const std::string& embeddings) {
  // SentencePiece models are trained with a token at the start of the text; where there is a chat
  // template it says so itself.
  const bool is_sentencepiece = parts.tokenizer_type != 1 && parts.tokenizer_type != 2;
  Members param("    ");
  add_tokenizer(param, parts);
  param.add("filename_tokens_embed", embeddings);
  param.add("filename_post_axmodel", parts.post);
  param.add("template_filename_axmodel", parts.layers.pattern);
  param.add("b_bos", is_sentencepiece);
  param.add("b_eos", false);
  param.add("axmodel_num", parts.layer_count);
  param.add("tokens_embed_num", parts.rows);
  param.add("tokens_embed_size", parts.hidden);
  param.add("b_use_mmap_load_embed", true);
  param.add("b_dynamic_load_axmodel_layer", false);
  add_samplers(param, parts.samplers);
  if (options.precompute_len > 0) param.add("precompute_len", options.precompute_len);

  Members top("  ");
  top.add("mode", options.name);
  top.add("type", std::string("llm"));
  top.raw("capabilities", R"(["text_generation", "chat"])");
  top.raw(
      "input_type",
      R"(["llm.utf-8", "llm.utf-8.stream", "llm.chat_completion", "llm.chat_completion.stream"])");
  top.raw("output_type", R"(["llm.utf-8", "llm.utf-8.stream"])");
  top.raw("mode_param", "{" + param.text() + "\n  }");
  return "{" + top.text() + "\n}\n";
}

}  // namespace runner
