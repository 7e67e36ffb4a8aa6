#include "tests/ax_sim/sim_model_writer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <optional>
#include <stdexcept>

#include "runner/model_config.h"
#include "runner/safetensors.h"
#include "tests/ax_sim/sim_model.h"

namespace {

using ax_sim::GroupHeader;
using ax_sim::KvInputs;
using ax_sim::ModelHeader;
using ax_sim::ModelKind;
using runner::ModelConfig;

constexpr char kEmbeddingFile[] = "model.embed_tokens.weight.bfloat16.bin";
constexpr char kPostFile[] = "qwen2_post.axmodel";

std::uint32_t to_u32(int value) { return static_cast<std::uint32_t>(value); }

// A file that is written from front to back; finish() reports what went wrong.
class Output {
 public:
  explicit Output(std::filesystem::path path)
      : path_(std::move(path)), stream_(path_, std::ios::binary) {}

  void bytes(const void* data, std::size_t count) {
    stream_.write(static_cast<const char*>(data), static_cast<std::streamsize>(count));
  }
  template <typename Value>
  void values(const std::vector<Value>& values) {
    bytes(values.data(), values.size() * sizeof(Value));
  }
  void tensor(const runner::TensorView& tensor) {
    std::vector<runner::Bf16> values(tensor.values());
    runner::copy_as_bf16(tensor, values);
    this->values(values);
  }
  void finish() {
    stream_.close();
    if (!stream_) throw std::runtime_error("cannot write " + path_.string());
  }

 private:
  std::filesystem::path path_;
  std::ofstream stream_;
};

// Cosines, then sines, [positions][head_dim/2].
std::vector<float> angles(const ModelHeader& m) {
  std::vector<float> table;
  table.reserve(std::size_t{m.positions} * m.head_dim);
  for (const bool sine : {false, true}) {
    for (std::uint32_t position = 0; position < m.positions; ++position) {
      for (std::uint32_t i = 0; i < m.head_dim / 2; ++i) {
        const double angle = position * std::pow(m.rope_theta, -2.0 * i / m.head_dim);
        table.push_back(static_cast<float>(sine ? std::sin(angle) : std::cos(angle)));
      }
    }
  }
  return table;
}

class Writer {
 public:
  explicit Writer(const SimModelOptions& options)
      : options_(options),
        config_(runner::read_model_config(options.source)),
        directory_(options.out_base / options.name) {
    if (config_.model_type != "qwen2") {
      throw std::runtime_error(options.source.string() + ": model_type '" + config_.model_type +
                               "', expected 'qwen2'");
    }
    if (config_.rope_scaling) {
      throw std::runtime_error(options.source.string() + ": scaled positions are not simulated");
    }
    check_options();
    if (!options.shape_only) tensors_ = runner::Safetensors::open_directory(options.source);
  }

  void write() {
    std::filesystem::create_directories(directory_ / "tokenizer");
    const ModelHeader layer = layer_header();
    if (!options_.shape_only) angles_ = angles(layer);
    for (int index = 0; index < config_.layers; ++index) write_layer(layer, index);
    write_post();
    write_embeddings();
    for (const char* name : {"tokenizer.json", "tokenizer_config.json", "generation_config.json",
                             "chat_template.jinja"}) {
      if (!std::filesystem::exists(options_.source / name)) continue;
      std::filesystem::copy_file(options_.source / name, directory_ / "tokenizer" / name,
                                 std::filesystem::copy_options::overwrite_existing);
    }
    write_description();
  }

 private:
  void check_options() const {
    const auto plain = [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
             c == '.' || c == '_' || c == '-';
    };
    if (options_.name.empty() || !std::ranges::all_of(options_.name, plain)) {
      throw std::runtime_error("--name '" + options_.name + "': letters, digits and ._- only");
    }
    if (options_.context == 0 || options_.prefill == 1) {
      throw std::runtime_error("--context must be at least 1 and --prefill at least 2");
    }
    if (options_.prefill == 0 && !options_.history.empty()) {
      throw std::runtime_error("--history needs prefill groups");
    }
    if (!std::ranges::is_sorted(options_.history) || std::ranges::count(options_.history, 0U) > 0) {
      throw std::runtime_error("--history must be ascending numbers above 0");
    }
    if (groups().size() > ax_sim::kMaxGroups) {
      throw std::runtime_error("more than " + std::to_string(ax_sim::kMaxGroups) + " groups");
    }
    if (options_.post_topk > to_u32(config_.vocab)) {
      throw std::runtime_error("--post-topk is more than the vocabulary, " +
                               std::to_string(config_.vocab));
    }
  }

  std::vector<GroupHeader> groups() const {
    const std::uint32_t rows = options_.prefill;
    std::vector<GroupHeader> groups = {
        {1, options_.context, options_.context + 1, KvInputs::kHistory}};
    if (rows == 0) return groups;
    const bool placeholder = options_.placeholder || !options_.history.empty();
    groups.push_back({rows, 0, rows, placeholder ? KvInputs::kPlaceholder : KvInputs::kAbsent});
    for (const std::uint32_t slots : options_.history) {
      groups.push_back({rows, slots, slots + rows, KvInputs::kHistory});
    }
    return groups;
  }

  ModelHeader header(ModelKind kind) const {
    ModelHeader m{};
    std::memcpy(m.magic, ax_sim::kMagic, sizeof m.magic);
    m.kind = kind;
    m.hidden = to_u32(config_.hidden);
    m.norm_epsilon = config_.norm_epsilon;
    m.has_weights = options_.shape_only ? 0 : 1;
    return m;
  }

  ModelHeader layer_header() const {
    ModelHeader m = header(ModelKind::kLayer);
    m.intermediate = to_u32(config_.intermediate);
    m.heads = to_u32(config_.heads);
    m.kv_heads = to_u32(config_.kv_heads);
    m.head_dim = to_u32(config_.head_dim);
    const std::uint32_t last = options_.history.empty() ? 0 : options_.history.back();
    m.positions = std::max(options_.context + 1, last + options_.prefill);
    m.rope_theta = config_.rope_theta;
    m.bias = config_.qkv_bias ? 1 : 0;
    m.groups = static_cast<std::uint32_t>(groups().size());
    return m;
  }

  std::string layer_template() const {
    if (options_.prefill == 0) return "qwen2_l%d.axmodel";
    return "qwen2_p" + std::to_string(options_.prefill) + "_l%d_together.axmodel";
  }

  void write_layer(ModelHeader m, int index) const {
    m.index = to_u32(index);
    std::string name = layer_template();
    name.replace(name.find("%d"), 2, std::to_string(index));
    Output file(directory_ / name);
    file.bytes(&m, sizeof m);
    file.values(groups());
    if (!options_.shape_only) write_weights(file, index);
    file.finish();
  }

  void write_weights(Output& file, int index) const {
    file.values(angles_);
    const std::string prefix = "model.layers." + std::to_string(index) + ".";
    const int query = config_.heads * config_.head_dim;
    const int kv = config_.kv_heads * config_.head_dim;
    const auto tensor = [&](const std::string& name, const std::vector<std::int64_t>& shape) {
      file.tensor(tensors_->at(prefix + name, shape));
    };
    tensor("input_layernorm.weight", {config_.hidden});
    tensor("self_attn.q_proj.weight", {query, config_.hidden});
    tensor("self_attn.k_proj.weight", {kv, config_.hidden});
    tensor("self_attn.v_proj.weight", {kv, config_.hidden});
    if (config_.qkv_bias) {
      tensor("self_attn.q_proj.bias", {query});
      tensor("self_attn.k_proj.bias", {kv});
      tensor("self_attn.v_proj.bias", {kv});
    }
    tensor("self_attn.o_proj.weight", {config_.hidden, query});
    tensor("post_attention_layernorm.weight", {config_.hidden});
    tensor("mlp.gate_proj.weight", {config_.intermediate, config_.hidden});
    tensor("mlp.up_proj.weight", {config_.intermediate, config_.hidden});
    tensor("mlp.down_proj.weight", {config_.hidden, config_.intermediate});
  }

  void write_post() const {
    ModelHeader m = header(ModelKind::kPost);
    m.index = to_u32(config_.layers);
    m.vocab = to_u32(config_.vocab);
    m.groups = 1;
    m.top_k = options_.post_topk;
    Output file(directory_ / kPostFile);
    file.bytes(&m, sizeof m);
    const GroupHeader group{1, 0, 1, KvInputs::kAbsent};
    file.bytes(&group, sizeof group);
    if (!options_.shape_only) {
      const char* head = config_.tied_embeddings ? "model.embed_tokens.weight" : "lm_head.weight";
      file.tensor(tensors_->at("model.norm.weight", {config_.hidden}));
      file.tensor(tensors_->at(head, {config_.vocab, config_.hidden}));
    }
    file.finish();
  }

  void write_embeddings() const {
    const std::filesystem::path path = directory_ / kEmbeddingFile;
    Output file(path);
    if (!options_.shape_only) {
      file.tensor(tensors_->at("model.embed_tokens.weight", {config_.vocab, config_.hidden}));
    }
    file.finish();
    if (options_.shape_only) {
      std::filesystem::resize_file(
          path, std::uintmax_t{2} * to_u32(config_.vocab) * to_u32(config_.hidden));
    }
  }

  void write_description() const {
    const auto number = [](const char* key, std::uint64_t value) {
      return std::string(",\n    \"") + key + "\": " + std::to_string(value);
    };
    const auto text = [](const char* key, const std::string& value) {
      return std::string(",\n    \"") + key + "\": \"" + value + '"';
    };
    std::uint32_t precompute = options_.precompute;
    if (precompute == 0 && !options_.history.empty()) precompute = options_.history.back();
    std::string json =
        "{\n  \"mode\": \"" + options_.name +
        "\",\n  \"type\": \"llm\",\n  \"capabilities\": [\"text_generation\", \"chat\"],\n"
        "  \"input_type\": [\"llm.utf-8\", \"llm.utf-8.stream\", \"llm.chat_completion\", "
        "\"llm.chat_completion.stream\"],\n"
        "  \"output_type\": [\"llm.utf-8\", \"llm.utf-8.stream\"],\n"
        "  \"mode_param\": {\n    \"tokenizer_type\": 2" +
        text("filename_tokenizer_model", "http://localhost:8080") +
        text("filename_tokens_embed", kEmbeddingFile) + text("filename_post_axmodel", kPostFile) +
        text("template_filename_axmodel", layer_template()) + ",\n    \"b_bos\": false" +
        ",\n    \"b_eos\": false" + number("axmodel_num", to_u32(config_.layers)) +
        number("tokens_embed_num", to_u32(config_.vocab)) +
        number("tokens_embed_size", to_u32(config_.hidden)) +
        ",\n    \"b_use_mmap_load_embed\": true" +
        ",\n    \"b_dynamic_load_axmodel_layer\": " + (options_.dynamic_load ? "true" : "false") +
        number("max_token_len", options_.context);
    if (precompute != 0) json += number("precompute_len", precompute);
    json += "\n  }\n}\n";
    Output file(directory_ / ("mode_" + options_.name + ".json"));
    file.bytes(json.data(), json.size());
    file.finish();
  }

  const SimModelOptions& options_;
  ModelConfig config_;
  std::filesystem::path directory_;
  std::optional<runner::Safetensors> tensors_;  // absent with shape_only
  std::vector<float> angles_;
};

}  // namespace

void write_sim_model(const SimModelOptions& options) { Writer(options).write(); }
