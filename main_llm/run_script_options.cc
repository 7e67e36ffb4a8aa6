#include "main_llm/run_script_options.h"

#include <filesystem>
#include <system_error>

#include "runner/error.h"
#include "runner/package/text_parts.h"
#include "runner/text/tokenizer_file.h"

namespace main_llm {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLayers = "--template_filename_axmodel";
constexpr const char* kTokenizer = "--filename_tokenizer_model";
constexpr const char* kTokenizerUrl = "--url_tokenizer_model";
constexpr int kServiceTokenizer = 2;

int tokenizer_type(const RunScriptOptions& script) {
  return script.tokenizer_type.value_or(script.tokenizer_url.empty() ? 0 : kServiceTokenizer);
}

bool is_url(const std::string& name) { return name.find("://") != std::string::npos; }

[[noreturn]] void throw_bad_option(const std::string& option, const std::string& value,
                                   const std::string& expected) {
  throw runner::Error(runner::ErrorCode::kBadOption,
                      option + " is \"" + value + "\", expected " + expected);
}

fs::path existing_file(const std::string& option, const std::string& path) {
  std::error_code error;
  if (fs::is_regular_file(path, error)) return path;
  throw runner::Error(runner::ErrorCode::kNotFound,
                      option + ": there is no file \"" + path +
                          "\" (working directory: " + fs::current_path(error).string() + ")");
}

// The folder of the tokenizer.json that a path means; empty where there is none.
fs::path folder_of_tokenizer(const fs::path& path) {
  std::error_code error;
  if (path.filename() == "tokenizer.json" && fs::exists(path, error)) {
    return path.has_parent_path() ? path.parent_path() : ".";
  }
  return fs::exists(path / "tokenizer.json", error) ? path : fs::path();
}

// One that stands beside the graphs or in the working directory; empty where there is none, or
// several that may be of different models.
fs::path find_tokenizer_folder(const fs::path& graphs) {
  runner::PartsWanted wanted;
  wanted.source = ".";
  runner::PackageParts parts;
  parts.directory = graphs.empty() ? "." : graphs;
  runner::find_text_parts(wanted, parts);
  return parts.tokenizer.filename() == "tokenizer.json" ? parts.tokenizer.parent_path()
                                                        : fs::path();
}

void describe_service_tokenizer(const RunScriptOptions& script, DescribedModel& model) {
  model.npu.tokenizer = script.tokenizer_url.empty() ? script.tokenizer : script.tokenizer_url;
  model.npu.tokenizer_keeps_conversation = !script.tokenizer_url.empty();
  const std::string& name = model.npu.tokenizer;
  if (is_url(name)) {
    model.text_folder = find_tokenizer_folder(fs::path(script.layers).parent_path());
    return;
  }
  model.text_folder = name.empty() ? fs::path() : folder_of_tokenizer(name);
  if (model.text_folder.empty()) {
    throw_bad_option(script.tokenizer_url.empty() ? kTokenizer : kTokenizerUrl, name,
                     "with --tokenizer_type 2 a folder with a tokenizer.json, or a service's URL");
  }
}

void describe_tokenizer(const RunScriptOptions& script, DescribedModel& model) {
  model.npu.tokenizer_type = tokenizer_type(script);
  if (model.npu.tokenizer_type == kServiceTokenizer) {
    describe_service_tokenizer(script, model);
    return;
  }
  if (!script.tokenizer_url.empty()) {
    throw_bad_option(kTokenizerUrl, script.tokenizer_url, "only with --tokenizer_type 2");
  }
  const std::string name = script.tokenizer.empty() ? "tokenizer.model" : script.tokenizer;
  if (is_url(name)) {
    throw_bad_option(kTokenizer, name,
                     "a file with --tokenizer_type " + std::to_string(model.npu.tokenizer_type));
  }
  model.npu.tokenizer = existing_file(kTokenizer, name).string();
}

}  // namespace

DescribedModel describe_model(const RunScriptOptions& script) {
  DescribedModel model;
  runner::NpuModelFiles& graphs = model.npu.graphs;
  for (const std::string& layer : runner::layer_names(script.layers, script.layer_count)) {
    graphs.layers.push_back(existing_file(kLayers, layer));
  }
  if (graphs.layers.empty()) {
    throw_bad_option(kLayers, script.layers, "a %d for the number of the layer");
  }
  graphs.post = existing_file("--filename_post_axmodel", script.post);
  graphs.hidden = script.embedding_values;
  graphs.vocab = script.embedding_rows;
  graphs.load_layers_on_demand = script.load_layers_on_demand;
  model.npu.embeddings = existing_file("--filename_tokens_embed", script.embeddings);
  describe_tokenizer(script, model);
  model.name = fs::absolute(script.layers).parent_path().filename().string();
  return model;
}

runner::ModeParams run_script_params(const RunScriptOptions& script) {
  runner::ModeParams params;
  std::error_code error;
  if (!script.post_config.empty()) {
    params = runner::read_post_config(existing_file("--post_config_path", script.post_config));
  } else if (!script.layers.empty() && fs::exists("post_config.json", error)) {
    params = runner::read_post_config("post_config.json");
  }
  const int type = tokenizer_type(script);
  const bool is_sentencepiece = runner::is_tokenizer_file(type) && type != 1;
  if (!script.layers.empty() && is_sentencepiece) params.b_bos = true;
  if (script.bos) params.b_bos = script.bos;
  return params;
}

}  // namespace main_llm
