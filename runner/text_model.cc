#include "runner/text_model.h"

#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "runner/error.h"
#include "runner/file_text.h"
#include "runner/native_prompt_encoder.h"
#include "runner/tokenizer_file.h"

namespace runner {
namespace {

namespace fs = std::filesystem;
using simdjson::dom::element;

constexpr double kMostPenalty = 1e6;
constexpr int kHuggingFaceTopK = 50;  // of transformers' GenerationConfig

// A JSON file of settings: an object, whose members may be absent or null.
class SettingsFile {
 public:
  // Without the file it has no members.
  explicit SettingsFile(fs::path path) : path_(std::move(path)) {
    std::error_code error;
    if (!fs::exists(path_, error)) return;
    text_ = simdjson::padded_string(read_text_file(path_));
    simdjson::dom::object object;
    if (const auto failed = parser_.parse(text_).get(object)) {
      fail(std::string("is not a JSON object: ") + simdjson::error_message(failed));
    }
    object_ = object;
  }

  bool exists() const { return object_.has_value(); }

  std::optional<element> find(std::string_view key) const {
    element value;
    if (!object_ || object_->at_key(key).get(value) || value.is_null()) return std::nullopt;
    return value;
  }

  template <typename Value>
  std::optional<Value> get(std::string_view key, const char* expected) const {
    const auto value = find(key);
    if (!value) return std::nullopt;
    Value result{};
    if (value->get(result)) fail(std::string(key) + " is not " + expected);
    return result;
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::kBadModel, path_.string() + ": " + what);
  }

 private:
  fs::path path_;
  simdjson::padded_string text_;
  simdjson::dom::parser parser_;
  std::optional<simdjson::dom::object> object_;
};

// Runs `work`; an error in it gets the path in front, in place of the bare name of the file.
template <typename Work>
auto in_file(const fs::path& path, const Work& work) {
  try {
    return work();
  } catch (const Error& error) {
    std::string_view what = error.what();
    const std::string name = path.filename().string() + ": ";
    if (what.starts_with(name)) what.remove_prefix(name.size());
    throw Error(error.code(), path.string() + ": " + std::string(what));
  }
}

// The text of a token given as a string, or as an object as HuggingFace saves AddedToken.
std::optional<std::string_view> token_text(const SettingsFile& file, std::string_view key) {
  const auto value = file.find(key);
  if (!value) return std::nullopt;
  std::string_view text;
  simdjson::dom::object object;
  if (value->get(text) && (value->get(object) || object.at_key("content").get(text))) {
    file.fail(std::string(key) + " is neither a string nor an object with \"content\"");
  }
  return text;
}

std::optional<std::string> find_jinja(const fs::path& directory, const SettingsFile& config) {
  const fs::path file = directory / "chat_template.jinja";
  std::error_code error;
  if (fs::exists(file, error)) return read_text_file(file);
  const auto value = config.find("chat_template");
  if (!value) return std::nullopt;
  std::string_view text;
  if (!value->get(text)) return std::string(text);
  simdjson::dom::array list;
  if (value->get(list)) config.fail("chat_template is neither a string nor a list");
  for (const element entry : list) {
    std::string_view name;
    if (entry.at_key("name").get(name) || name != "default") continue;
    if (!entry.at_key("template").get(text)) return std::string(text);
  }
  config.fail("chat_template is a list without one named \"default\"");
}

void load_template(const fs::path& directory, const SettingsFile& config, TextModel& model) {
  const auto jinja = find_jinja(directory, config);
  try {
    if (jinja) {
      model.chat_template = ChatTemplate::recognise(*jinja, model.bos_token, model.eos_token);
      return;
    }
    ChatTemplate chatml = ChatTemplate::of_family("chatml");
    const std::string& token = chatml.needed_token();
    if (!model.tokenizer->find(token)) {
      throw Error(ErrorCode::kBadModel, "has no chat template, and the tokenizer no token " +
                                            token + " to go on with ChatML; " +
                                            ChatTemplate::way_out());
    }
    model.chat_template = std::move(chatml);
  } catch (const Error& error) {
    model.template_error = directory.string() + ": " + error.what();
  }
}

void add_eos_ids(const SettingsFile& file, std::vector<TokenId>& ids) {
  const auto value = file.find("eos_token_id");
  if (!value) return;
  const auto add = [&](const element& entry) {
    std::int64_t id = 0;
    if (entry.get(id) || id < 0 || id > INT32_MAX) {
      file.fail("eos_token_id is neither a token id nor a list of them");
    }
    ids.push_back(static_cast<TokenId>(id));
  };
  simdjson::dom::array list;
  if (value->get(list)) return add(*value);
  for (const element entry : list) add(entry);
}

std::vector<TokenId> find_stop_tokens(const SettingsFile& generation, const TextModel& model) {
  std::vector<TokenId> ids;
  add_eos_ids(generation, ids);
  if (const auto eos = model.tokenizer->find(model.eos_token)) ids.push_back(*eos);
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

ModeParams sampling_defaults(const SettingsFile& file) {
  ModeParams params;
  if (!file.exists()) return params;
  const bool sample = file.get<bool>("do_sample", "true or false").value_or(false);
  params.enable_temperature = sample;
  params.enable_top_k_sampling = false;
  params.enable_top_p_sampling = false;
  if (sample) {
    const double temperature = file.get<double>("temperature", "a number").value_or(1.0);
    const double top_p = file.get<double>("top_p", "a number").value_or(1.0);
    const auto top_k = file.get<std::int64_t>("top_k", "a whole number").value_or(kHuggingFaceTopK);
    if (!(temperature >= 0) || !(top_p > 0 && top_p <= 1) || top_k < 0 || top_k > INT32_MAX) {
      file.fail("temperature must be from 0, top_p more than 0 and at most 1, top_k from 0");
    }
    params.temperature = temperature;
    params.enable_top_k_sampling = top_k > 0;
    if (top_k > 0) params.top_k = static_cast<int>(top_k);
    // With neither of them HuggingFace draws from all tokens, which is top-p with p = 1.
    params.enable_top_p_sampling = top_p < 1 || top_k == 0;
    params.top_p = top_p;
  }
  const double penalty = file.get<double>("repetition_penalty", "a number").value_or(1.0);
  if (!(penalty > 0 && penalty < kMostPenalty)) file.fail("repetition_penalty must be more than 0");
  params.enable_repetition_penalty = penalty != 1.0;
  if (penalty != 1.0) params.repetition_penalty = penalty * penalty;
  return params;
}

}  // namespace

std::unique_ptr<PromptEncoder> TextModel::new_prompt_encoder(const PromptOptions& options) const {
  if (!options.template_family && !chat_template) {
    throw Error(ErrorCode::kBadModel, template_error);
  }
  NativePromptOptions native;
  native.stop_tokens = stop_tokens;
  native.enable_thinking = options.enable_thinking;
  if (options.adds_bos) {
    const std::vector<TokenId>& before = tokenizer->before();
    native.bos_token = bos_token.empty() && !before.empty()
                           ? std::string(tokenizer->spelling(before.front()))
                           : bos_token;
    if (native.bos_token.empty()) {
      throw Error(ErrorCode::kBadOption, "b_bos is true, but the tokenizer has no such token");
    }
  }
  return make_native_prompt_encoder(
      tokenizer,
      options.template_family ? ChatTemplate::of_family(*options.template_family, eos_token)
                              : *chat_template,
      std::move(native));
}

TextModel load_text_model(const fs::path& directory) {
  const SettingsFile config(directory / "tokenizer_config.json");
  const SettingsFile generation(directory / "generation_config.json");
  TextModel model;
  model.tokenizer = load_tokenizer(find_tokenizer_file(directory));
  model.tokenizer_kind = model.tokenizer->kind();
  model.bos_token = token_text(config, "bos_token").value_or("");
  model.eos_token = token_text(config, "eos_token").value_or("");
  load_template(directory, config, model);
  model.stop_tokens = find_stop_tokens(generation, model);
  model.generation_config = sampling_defaults(generation);
  return model;
}

}  // namespace runner
