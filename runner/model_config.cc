#include "runner/model_config.h"

#include <simdjson.h>

#include <cmath>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "runner/error.h"
#include "runner/mapped_file.h"

namespace runner {
namespace {

// Far beyond any model; products of two such numbers cannot overflow 64 bits.
constexpr std::int64_t kMost = 1 << 24;

[[noreturn]] void config_error(const std::string& path, const std::string& what) {
  throw Error(ErrorCode::kBadModel, path + ": " + what);
}

// The object that is the file; lives as long as `parser` and its next use.
simdjson::dom::object parse_object(const std::filesystem::path& path,
                                   simdjson::dom::parser& parser) {
  const MappedFile file(path);
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                              file.bytes().size());
  simdjson::dom::object object;
  if (const auto error = parser.parse(simdjson::padded_string(text)).get(object)) {
    config_error(path.string(),
                 std::string("is not a JSON object: ") + simdjson::error_message(error));
  }
  return object;
}

// An object of config.json with checked access; every message names the file and the key.
class ConfigReader {
 public:
  ConfigReader(std::string path, simdjson::dom::object object, std::string prefix = "")
      : path_(std::move(path)), prefix_(std::move(prefix)), object_(object) {}

  [[noreturn]] void fail(const std::string& what) const { config_error(path_, what); }

  // The object at `key`.
  ConfigReader section(std::string_view key) const {
    simdjson::dom::object object;
    if (object_[key].get(object)) fail(quoted(key) + " is not an object");
    return {path_, object, std::string(key) + "."};
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

  double positive_number(std::string_view key) const {
    double value = 0;
    if (object_[key].get(value) || !std::isfinite(value) || value <= 0) {
      fail(quoted(key) + " is missing or not a number above 0");
    }
    return value;
  }
  double positive_number_or(std::string_view key, double absent) const {
    return has(key) ? positive_number(key) : absent;
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

  std::vector<std::string_view> texts(std::string_view key) const {
    simdjson::dom::array list;
    if (object_[key].get(list)) fail(quoted(key) + " is not a list");
    std::vector<std::string_view> texts;
    for (const simdjson::dom::element entry : list) {
      if (entry.get(texts.emplace_back())) fail(quoted(key) + " has an entry that is not a string");
    }
    return texts;
  }

  // The key as messages name it.
  std::string quoted(std::string_view key) const {
    std::string text = '"' + prefix_;
    text += key;
    return text += '"';
  }

 private:
  std::string path_;
  std::string prefix_;  // "" or "key." of a section
  simdjson::dom::object object_;
};

// The families differ in what they have; some of it their config.json does not say.
void read_family(const ConfigReader& reader, ModelConfig& config) {
  config.model_type = reader.text_or("model_type", "");
  if (config.model_type == "qwen2") {
    config.qkv_bias = true;
  } else if (config.model_type == "qwen3" || config.model_type == "llama") {
    config.qkv_bias = reader.flag_or("attention_bias", false);
    config.attention_output_bias = config.qkv_bias;
    config.qk_norm = config.model_type == "qwen3";
  } else {
    reader.fail("\"model_type\" is \"" + config.model_type + "\"; supported: qwen2, qwen3, llama");
  }
}

int read_head_dim(const ConfigReader& reader, const ModelConfig& config) {
  if (reader.has("head_dim")) return reader.positive("head_dim");
  if (config.model_type == "qwen3") return 128;  // HuggingFace's default for this one
  if (config.hidden % config.heads != 0) {
    reader.fail("\"hidden_size\" " + std::to_string(config.hidden) +
                " is not a multiple of \"num_attention_heads\" " + std::to_string(config.heads));
  }
  return config.hidden / config.heads;
}

// Positions: "rope_theta" beside "rope_scaling" in older files, all in "rope_parameters" in newer.
void read_rope(const ConfigReader& reader, ModelConfig& config) {
  config.rope_theta = reader.positive_number_or("rope_theta", 10000.0);
  const bool older = reader.has("rope_scaling");
  const bool newer = reader.has("rope_parameters");
  if (older && newer) reader.fail("has both \"rope_scaling\" and \"rope_parameters\"");
  if (!older && !newer) return;
  const std::string_view key = older ? "rope_scaling" : "rope_parameters";
  const ConfigReader rope = reader.section(key);
  config.rope_theta = rope.positive_number_or("rope_theta", config.rope_theta);
  const std::string type = rope.text_or("rope_type", rope.text_or("type", ""));
  if (type == "default") return;
  if (type != "llama3") {
    reader.fail(reader.quoted(key) + " is of \"rope_type\" \"" + type +
                "\"; supported: default, llama3");
  }
  RopeScaling scaling;
  scaling.factor = rope.positive_number("factor");
  scaling.low_freq_factor = rope.positive_number("low_freq_factor");
  scaling.high_freq_factor = rope.positive_number("high_freq_factor");
  scaling.original_positions = rope.positive("original_max_position_embeddings");
  if (scaling.low_freq_factor >= scaling.high_freq_factor) {
    reader.fail(rope.quoted("low_freq_factor") + " is not less than " +
                rope.quoted("high_freq_factor"));
  }
  config.rope_scaling = scaling;
}

void check_attention(const ConfigReader& reader) {
  if (reader.flag_or("use_sliding_window", false)) {
    reader.fail("\"use_sliding_window\" is not supported");
  }
  if (!reader.has("layer_types")) return;
  for (const std::string_view type : reader.texts("layer_types")) {
    if (type == "full_attention") continue;
    reader.fail("\"layer_types\" has \"" + std::string(type) +
                "\"; only \"full_attention\" is supported");
  }
}

void check_supported(const ConfigReader& reader, const ModelConfig& config) {
  if (const std::string activation = reader.text_or("hidden_act", "silu"); activation != "silu") {
    reader.fail("\"hidden_act\" is \"" + activation + "\"; only \"silu\" is known");
  }
  if (reader.flag_or("mlp_bias", false)) reader.fail("\"mlp_bias\" is not supported");
  check_attention(reader);
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
  const std::filesystem::path path = directory / "config.json";
  simdjson::dom::parser parser;
  const ConfigReader reader(path.string(), parse_object(path, parser));
  ModelConfig config;
  read_family(reader, config);
  config.torch_dtype = reader.text_or("torch_dtype", "");
  config.layers = reader.positive("num_hidden_layers");
  config.hidden = reader.positive("hidden_size");
  config.intermediate = reader.positive("intermediate_size");
  config.heads = reader.positive("num_attention_heads");
  config.kv_heads = reader.positive_or("num_key_value_heads", config.heads);
  config.head_dim = read_head_dim(reader, config);
  config.vocab = reader.positive("vocab_size");
  config.max_positions = reader.positive("max_position_embeddings");
  config.norm_epsilon = static_cast<float>(reader.positive_number_or("rms_norm_eps", 1e-6));
  read_rope(reader, config);
  config.tied_embeddings = reader.flag_or("tie_word_embeddings", false);
  check_supported(reader, config);
  return config;
}

}  // namespace runner
