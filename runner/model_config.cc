#include "runner/model_config.h"

#include <simdjson.h>

#include <cmath>
#include <cstdint>
#include <string_view>
#include <utility>

#include "runner/error.h"
#include "runner/mapped_file.h"

namespace runner {
namespace {

// Far beyond any model; products of two such numbers cannot overflow 64 bits.
constexpr std::int64_t kMost = 1 << 24;

// config.json with checked access; every message names the file and the key.
class ConfigReader {
 public:
  explicit ConfigReader(const std::filesystem::path& path) : path_(path.string()) {
    const MappedFile file(path);
    const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                                file.bytes().size());
    if (const auto error = parser_.parse(simdjson::padded_string(text)).get(object_)) {
      fail(std::string("is not a JSON object: ") + simdjson::error_message(error));
    }
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::kBadModel, path_ + ": " + what);
  }

  bool has(std::string_view key) const {
    simdjson::dom::element value;
    return object_[key].get(value) == simdjson::SUCCESS && !value.is_null();
  }

  int positive(std::string_view key) const {
    std::int64_t value = 0;
    if (object_[key].get(value)) fail(quoted(key) + " is missing or not a whole number");
    if (value < 1 || value > kMost) {
      fail(quoted(key) + " is " + std::to_string(value) + ", which is out of range");
    }
    return static_cast<int>(value);
  }
  int positive_or(std::string_view key, int absent) const {
    return has(key) ? positive(key) : absent;
  }

  double positive_number_or(std::string_view key, double absent) const {
    if (!has(key)) return absent;
    double value = 0;
    if (object_[key].get(value) || !std::isfinite(value) || value <= 0) {
      fail(quoted(key) + " is not a number above 0");
    }
    return value;
  }

  bool flag_or(std::string_view key, bool absent) const {
    if (!has(key)) return absent;
    bool value = false;
    if (object_[key].get(value)) fail(quoted(key) + " is not true or false");
    return value;
  }

  std::string text_or(std::string_view key, std::string_view absent) const {
    if (!has(key)) return std::string(absent);
    std::string_view value;
    if (object_[key].get(value)) fail(quoted(key) + " is not a string");
    return std::string(value);
  }

  // Scaled positions are another computation; the plain one may be spelled out as "default".
  bool has_scaled_rope() const {
    if (!has("rope_scaling")) return false;
    std::string_view type;
    const auto scaling = object_["rope_scaling"];
    if (scaling["rope_type"].get(type) && scaling["type"].get(type)) return true;
    return type != "default";
  }

 private:
  static std::string quoted(std::string_view key) {
    std::string text = "\"";
    text += key;
    return text += '"';
  }

  std::string path_;
  simdjson::dom::parser parser_;
  simdjson::dom::object object_;
};

void check_supported(const ConfigReader& reader, const ModelConfig& config) {
  if (const std::string activation = reader.text_or("hidden_act", "silu"); activation != "silu") {
    reader.fail("\"hidden_act\" is \"" + activation + "\"; only \"silu\" is known");
  }
  if (reader.has_scaled_rope()) {
    reader.fail("\"rope_scaling\" is not supported; remove it to use the model's plain positions");
  }
  if (reader.flag_or("use_sliding_window", false)) {
    reader.fail("\"use_sliding_window\" is not supported");
  }
  if (config.heads % config.kv_heads != 0) {
    reader.fail("\"num_attention_heads\" " + std::to_string(config.heads) +
                " is not a multiple of \"num_key_value_heads\" " + std::to_string(config.kv_heads));
  }
  if (std::int64_t{config.heads} * config.head_dim > kMost) {
    reader.fail("\"head_dim\" " + std::to_string(config.head_dim) + " is out of range");
  }
  if (config.head_dim % 2 != 0) {
    reader.fail("the head size " + std::to_string(config.head_dim) +
                " is odd; rotary positions need an even one");
  }
}

}  // namespace

ModelConfig read_model_config(const std::filesystem::path& directory) {
  const ConfigReader reader(directory / "config.json");
  ModelConfig config;
  config.model_type = reader.text_or("model_type", "");
  if (config.model_type != "qwen2") {
    reader.fail("\"model_type\" is \"" + config.model_type + "\"; supported: qwen2");
  }
  config.torch_dtype = reader.text_or("torch_dtype", "");
  config.layers = reader.positive("num_hidden_layers");
  config.hidden = reader.positive("hidden_size");
  config.intermediate = reader.positive("intermediate_size");
  config.heads = reader.positive("num_attention_heads");
  config.kv_heads = reader.positive_or("num_key_value_heads", config.heads);
  if (!reader.has("head_dim") && config.hidden % config.heads != 0) {
    reader.fail("\"hidden_size\" " + std::to_string(config.hidden) +
                " is not a multiple of \"num_attention_heads\" " + std::to_string(config.heads));
  }
  config.head_dim = reader.positive_or("head_dim", config.hidden / config.heads);
  config.vocab = reader.positive("vocab_size");
  config.max_positions = reader.positive("max_position_embeddings");
  config.norm_epsilon = static_cast<float>(reader.positive_number_or("rms_norm_eps", 1e-6));
  config.rope_theta = reader.positive_number_or("rope_theta", 10000.0);
  config.qkv_bias = true;  // every Qwen2 has them; its config.json does not say so
  config.tied_embeddings = reader.flag_or("tie_word_embeddings", false);
  check_supported(reader, config);
  return config;
}

}  // namespace runner
