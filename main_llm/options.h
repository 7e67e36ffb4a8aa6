#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "main_llm/model_loader.h"
#include "main_llm/run_script_options.h"
#include "main_llm/unit.h"
#include "runner/mode_params.h"
#include "runner/package/plan.h"

namespace main_llm {

struct ServeOptions {
  std::string listen = "127.0.0.1";
  std::uint16_t port = 10001;
  std::filesystem::path root = "/";  // in front of /proc, for what the NPU's driver tells
  UnitOptions unit;
};

struct UnitModeOptions {
  std::filesystem::path socket_root = "/tmp";
  UnitOptions unit;
};

struct RunOptions {
  std::string model;  // empty: `script` describes one
  RunScriptOptions script;
  std::optional<std::string> prompt;  // without it a chat on the terminal
  bool asks_on = false;               // a chat after the prompt too, which a line "q" ends
  bool prints_live = true;            // else an answer is printed when it is whole
  std::string system;
  int max_new_tokens = 0;  // 0: no limit but the context
  bool greedy = false;
  std::optional<std::uint64_t> seed;
  runner::ModeParams params;  // temperature, top_k, top_p, thinking, template
  std::string soft_prefix;    // a safetensors file
  std::vector<int> ids;       // instead of a prompt
  bool print_ids = false;
  bool ignore_eos = false;
};

struct BenchOptions {
  std::string model;
  int prompt_tokens = 128;
  int new_tokens = 128;
  int runs = 5;
  bool json = false;
};

struct InspectOptions {
  std::string model;
  bool json = false;
};

struct TokenizeOptions {
  std::string model;
  bool decode = false;  // ids to text
  bool ids_only = false;
  bool special = false;       // as HuggingFace: special tokens in the text, and those around it
  bool use_template = false;  // the text is a user's
  std::string system;
  runner::ModeParams params;  // thinking, template
};

struct DoctorOptions {
  std::filesystem::path root = "/";
  std::filesystem::path socket_root;  // of rpc.sys and rpc.llm; empty: root/tmp
  std::vector<std::filesystem::path> models;
  bool json = false;
};

struct ListOptions {
  bool json = false;
};

struct PackageCommandOptions {
  runner::PackageOptions package;
  bool write = false;
};

enum class Command { kUnit, kServe, kRun, kBench, kInspect, kTokenize, kDoctor, kList, kPackage };

// The whole command line, with the environment (LLM_LLM_X_Y for --x-y) as its defaults.
struct Options {
  Command command = Command::kUnit;
  std::string log_level;
  ModelOptions models;
  UnitModeOptions unit;
  ServeOptions serve;
  RunOptions run;
  BenchOptions bench;
  InspectOptions inspect;
  TokenizeOptions tokenize;
  DoctorOptions doctor;
  ListOptions list;
  PackageCommandOptions package;
};

// nullopt when the command line asked only for text (--help, --version) or was wrong: the text
// has been printed, and `exit_status` is 0 or 2.
std::optional<Options> parse_options(int argc, char** argv, int& exit_status);

}  // namespace main_llm
