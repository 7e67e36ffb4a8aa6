#include "runner/text/text_model.h"

#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "runner/error.h"
#include "runner/file_text.h"
#include "runner/text/chat_families.h"
#include "runner/text/native_prompt_encoder.h"
#include "runner/text/tokenizer_file.h"

namespace runner {
namespace {

namespace fs = std::filesystem;
using simdjson::dom::element;

constexpr double kMostPenalty = 1e6;
constexpr int kHuggingFaceTopK = 50;  // of transformers' GenerationConfig

constexpr int kPhi3Tokenizer = 3;  // of StackFlow's tokenizer_type

// JSON with "e0" behind whole numbers of more than 18 digits. simdjson refuses a whole file for one
// that 64 bits cannot hold, and transformers writes model_max_length as 10^30 for no limit.
std::string with_wide_numbers(std::string_view json) {
  std::string result;
  result.reserve(json.size());
  bool in_string = false;
  std::size_t digits = 0;  // side by side, up to here
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    const bool is_digit = !in_string && c >= '0' && c <= '9';
    if (!is_digit && digits > 18 && c != '.' && c != 'e' && c != 'E') result += "e0";
    digits = is_digit ? digits + 1 : 0;
    if (c == '"') in_string = !in_string;
    result += c;
    if (c == '\\' && i + 1 < json.size()) result += json[++i];
  }
  return result;
}

// A JSON file of settings: an object, whose members may be absent or null.
class SettingsFile {
 public:
  // Without the file it has no members.
  explicit SettingsFile(fs::path path) : path_(std::move(path)) {
    std::error_code error;
    if (!fs::exists(path_, error)) return;
    text_ = simdjson::padded_string(with_wide_numbers(read_text_file(path_)));
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

// Without a template of the model's own it is `family`.
void load_template(const fs::path& directory, const SettingsFile& config, std::string_view family,
                   TextModel& model) {
  const auto jinja = find_jinja(directory, config);
  try {
    if (jinja) {
      model.chat_template = ChatTemplate::recognise(*jinja, model.bos_token, model.eos_token);
      return;
    }
    ChatTemplate result = ChatTemplate::of_family(family, model.eos_token);
    const std::string& token = result.needed_token();
    if (!token.empty() && !model.tokenizer->find(token)) {
      throw Error(ErrorCode::kBadModel, "has no chat template, and the tokenizer no token " +
                                            token + " to go on with " + std::string(family) + "; " +
                                            ChatTemplate::way_out());
    }
    model.chat_template = std::move(result);
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

std::vector<TokenId> find_stop_tokens(const fs::path& directory, const SettingsFile& generation,
                                      const TextModel& model) {
  std::vector<TokenId> ids;
  add_eos_ids(generation, ids);
  if (ids.empty()) add_eos_ids(SettingsFile(directory / "config.json"), ids);
  if (const auto eos = model.tokenizer->find(model.eos_token)) ids.push_back(*eos);
  if (const auto end = model.tokenizer->end_of_text()) ids.push_back(*end);
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

TextModel load_with(std::shared_ptr<const BpeTokenizer> tokenizer, const fs::path& directory,
                    std::string_view family) {
  const SettingsFile config(directory / "tokenizer_config.json");
  const SettingsFile generation(directory / "generation_config.json");
  TextModel model;
  model.tokenizer = std::move(tokenizer);
  model.tokenizer_kind = model.tokenizer->kind();
  model.bos_token = token_text(config, "bos_token").value_or("");
  model.eos_token = token_text(config, "eos_token").value_or("");
  load_template(directory, config, family, model);
  model.stop_tokens = find_stop_tokens(directory, generation, model);
  model.generation_config = sampling_defaults(generation);
  return model;
}

}  // namespace

std::unique_ptr<PromptEncoder> TextModel::new_prompt_encoder(const PromptOptions& options) const {
  NativePromptOptions native;
  native.stop_tokens = stop_tokens;
  native.enable_thinking = options.enable_thinking;
  native.bos_token = choose_bos(options);
  return make_native_prompt_encoder(tokenizer, choose_template(options), std::move(native));
}

std::string TextModel::render_prompt(const PromptOptions& options, const std::string& user) const {
  const ChatFormat format =
      choose_template(options).format(options.enable_thinking, std::chrono::system_clock::now());
  const std::string text = render_conversation(format, options.system, {user});
  const std::string bos = choose_bos(options);
  return text.starts_with(bos) ? text : bos + text;
}

ChatTemplate TextModel::choose_template(const PromptOptions& options) const {
  if (options.template_family) return ChatTemplate::of_family(*options.template_family, eos_token);
  if (!chat_template) throw Error(ErrorCode::kBadModel, template_error);
  return *chat_template;
}

std::string TextModel::choose_bos(const PromptOptions& options) const {
  if (!options.adds_bos) return "";
  if (!bos_token.empty()) return bos_token;
  if (tokenizer->before().empty()) {
    throw Error(ErrorCode::kBadOption, "b_bos is true, but the tokenizer has no such token");
  }
  return std::string(tokenizer->spelling(tokenizer->before().front()));
}

TextModel load_text_model(const fs::path& directory) {
  return load_with(load_tokenizer(find_tokenizer_file(directory)), directory, "chatml");
}

TextModel load_stackflow_text_model(const fs::path& directory, int tokenizer_type,
                                    const std::string& tokenizer) {
  if (!is_tokenizer_file(tokenizer_type)) {
    const fs::path folder = directory / "tokenizer";
    std::error_code error;
    if (fs::exists(folder / "tokenizer.json", error)) return load_text_model(folder);
    throw Error(ErrorCode::kNotBuilt, folder.string() +
                                          "/tokenizer.json is missing, and tokenizer_type " +
                                          std::to_string(tokenizer_type) + " (" + tokenizer +
                                          ") is a program of its own, not a file to read");
  }
  const fs::path file = directory / tokenizer;
  return load_with(
      tokenizer_type == kPhi3Tokenizer ? load_phi3_tokenizer(file) : load_tokenizer(file),
      file.parent_path(), family_of_tokenizer_type(tokenizer_type));
}

}  // namespace runner
