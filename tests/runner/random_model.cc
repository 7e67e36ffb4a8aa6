#include "tests/runner/random_model.h"

#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <stdexcept>

#include "runner/bf16.h"

namespace {

template <typename Value>
void append(std::string& bytes, Value value) {
  char raw[sizeof value];
  std::memcpy(raw, &value, sizeof value);
  bytes.append(raw, sizeof value);
}

std::uint16_t half_bits(float value) {
  if (value == 0) return 0;
  int exponent = 0;
  const float mantissa = std::frexp(std::fabs(value), &exponent);  // 0.5 <= mantissa < 1
  const auto fraction = static_cast<unsigned>(mantissa * 2048.0F) - 1024U;
  return static_cast<std::uint16_t>((value < 0 ? 0x8000U : 0U) |
                                    static_cast<unsigned>(exponent + 14) << 10 | fraction);
}

std::string shape_json(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (const std::int64_t extent : shape) {
    if (text.size() > 1) text += ",";
    text += std::to_string(extent);
  }
  return text += "]";
}

class Maker {
 public:
  explicit Maker(const RandomModel& model) : model_(model), random_(model.seed) {}

  std::vector<TestTensor> tensors() {
    const int query = model_.heads * model_.head_dim;
    const int kv = model_.kv_heads * model_.head_dim;
    add("model.embed_tokens.weight", {model_.vocab, model_.hidden}, 0, 0.5F);
    for (int layer = 0; layer < model_.layers; ++layer) {
      const std::string prefix = "model.layers." + std::to_string(layer) + ".";
      add(prefix + "input_layernorm.weight", {model_.hidden}, 1, 0.2F);
      for (const auto& [name, rows] : {std::pair("q", query), {"k", kv}, {"v", kv}}) {
        matrix(prefix + "self_attn." + name + "_proj.weight", rows, model_.hidden);
        if (model_.family == "qwen2" || model_.attention_bias) {
          add(prefix + "self_attn." + name + "_proj.bias", {rows}, 0, 0.5F);
        }
      }
      if (model_.family == "qwen3") {
        add(prefix + "self_attn.q_norm.weight", {model_.head_dim}, 1, 0.5F);
        add(prefix + "self_attn.k_norm.weight", {model_.head_dim}, 1, 0.5F);
      }
      matrix(prefix + "self_attn.o_proj.weight", model_.hidden, query);
      if (model_.attention_bias) {
        add(prefix + "self_attn.o_proj.bias", {model_.hidden}, 0, 0.5F);
      }
      add(prefix + "post_attention_layernorm.weight", {model_.hidden}, 1, 0.2F);
      matrix(prefix + "mlp.gate_proj.weight", model_.intermediate, model_.hidden);
      matrix(prefix + "mlp.up_proj.weight", model_.intermediate, model_.hidden);
      matrix(prefix + "mlp.down_proj.weight", model_.hidden, model_.intermediate);
    }
    add("model.norm.weight", {model_.hidden}, 1, 0.2F);
    if (!model_.tied) matrix("lm_head.weight", model_.vocab, model_.hidden);
    return std::move(tensors_);
  }

 private:
  void matrix(const std::string& name, int rows, int columns) {
    add(name, {rows, columns}, 0, 2.0F / std::sqrt(static_cast<float>(columns)));
  }

  void add(const std::string& name, const std::vector<std::int64_t>& shape, float center,
           float spread) {
    std::size_t count = 1;
    for (const std::int64_t extent : shape) count *= static_cast<std::size_t>(extent);
    std::vector<float> values(count);
    for (float& value : values) {
      // Not std::uniform_real_distribution: its values differ between libraries.
      const float unit = static_cast<float>(random_() % 2001) / 1000.0F - 1.0F;
      value = runner::to_float(runner::to_bf16(center + spread * unit));
      if (std::fabs(value) < 0x1p-14F) value = 0;  // would not be exact in f16
    }
    tensors_.push_back({name, model_.dtype, shape, encode(values, model_.dtype)});
  }

  const RandomModel& model_;
  std::mt19937 random_;
  std::vector<TestTensor> tensors_;
};

std::string config_json(const RandomModel& model) {
  const auto field = [](const char* name, int value) {
    return ",\"" + std::string(name) + "\":" + std::to_string(value);
  };
  const std::string rope_scaling =
      R"(,"rope_scaling":{"rope_type":"llama3","factor":4,"low_freq_factor":1,)"
      R"("high_freq_factor":4,"original_max_position_embeddings":40})";
  return "{\"model_type\":\"" + model.family +
         "\",\"hidden_act\":\"silu\",\"rms_norm_eps\":1e-6,\"rope_theta\":10000.0" +
         (model.llama3_rope ? rope_scaling : "") +
         (model.attention_bias ? ",\"attention_bias\":true" : "") +
         field("hidden_size", model.hidden) + field("intermediate_size", model.intermediate) +
         field("num_hidden_layers", model.layers) + field("num_attention_heads", model.heads) +
         field("num_key_value_heads", model.kv_heads) + field("head_dim", model.head_dim) +
         field("vocab_size", model.vocab) + field("max_position_embeddings", model.positions) +
         ",\"tie_word_embeddings\":" + (model.tied ? "true}" : "false}");
}

}  // namespace

TemporaryDirectory::TemporaryDirectory() {
  std::string name = (std::filesystem::temp_directory_path() / "runner_test.XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp fails for " + name);
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void write_file(const std::filesystem::path& file, const std::string& content) {
  std::ofstream stream(file, std::ios::binary);
  stream.write(content.data(), static_cast<std::streamsize>(content.size()));
  if (!stream.flush()) throw std::runtime_error("cannot write " + file.string());
}

std::string encode(const std::vector<float>& values, const std::string& dtype) {
  std::string bytes;
  for (const float value : values) {
    if (dtype == "BF16") {
      append(bytes, runner::to_bf16(value).bits);
    } else if (dtype == "F16") {
      append(bytes, half_bits(value));
    } else {
      append(bytes, value);
    }
  }
  return bytes;
}

std::string safetensors_bytes(const std::vector<TestTensor>& tensors, int header_padding) {
  std::string header = "{\"__metadata__\":{\"format\":\"pt\"}";
  std::string data;
  for (const TestTensor& tensor : tensors) {
    header += ",\"" + tensor.name + "\":{\"dtype\":\"" + tensor.dtype +
              "\",\"shape\":" + shape_json(tensor.shape) + ",\"data_offsets\":[" +
              std::to_string(data.size()) + ",";
    data += tensor.bytes;
    header += std::to_string(data.size()) + "]}";
  }
  header += "}";
  header.append((8 - header.size() % 8) % 8 + static_cast<std::size_t>(header_padding), ' ');
  return safetensors_bytes(header, data);
}

std::string safetensors_bytes(const std::string& header, const std::string& data) {
  std::string bytes;
  append(bytes, static_cast<std::uint64_t>(header.size()));
  return bytes + header + data;
}

void write_random_model(const std::filesystem::path& directory, const RandomModel& model) {
  std::filesystem::create_directories(directory);
  write_file(directory / "config.json", config_json(model));
  const std::vector<TestTensor> tensors = Maker(model).tensors();
  if (model.shards == 1) {
    write_file(directory / "model.safetensors", safetensors_bytes(tensors, model.header_padding));
    return;
  }
  const auto shards = static_cast<std::size_t>(model.shards);
  std::string map;
  for (std::size_t shard = 0; shard < shards; ++shard) {
    const std::string name = "model-" + std::to_string(shard) + ".safetensors";
    std::vector<TestTensor> part;
    for (std::size_t i = shard; i < tensors.size(); i += shards) {
      part.push_back(tensors[i]);
      map += (map.empty() ? "\"" : ",\"") + tensors[i].name + "\":\"" + name + "\"";
    }
    write_file(directory / name, safetensors_bytes(part, model.header_padding));
  }
  write_file(directory / "model.safetensors.index.json", "{\"weight_map\":{" + map + "}}");
}
