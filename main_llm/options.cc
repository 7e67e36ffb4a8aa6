#include "main_llm/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <system_error>

#include "main_llm/version.h"

namespace main_llm {
namespace {

constexpr const char* kExamples = R"(
Examples:
  llm_llm                                      the llm unit beside llm-sys, as systemd starts it
  llm_llm serve                                answer the llm-sys protocol on 127.0.0.1:10001
  llm_llm serve --listen 0.0.0.0 --port 10002  the same for the whole network, on another port
  llm_llm run tiny-chat --prompt 'Hello!'      one answer
  llm_llm run ./Qwen2.5-0.5B-Instruct          a chat on the terminal with a model folder
  llm_llm bench tiny-chat --json               how fast it is here
  llm_llm inspect tiny-chat                    what a model folder holds
  echo 'Hello!' | llm_llm tokenize tiny-chat   its tokens
  llm_llm doctor                               what is wrong with this machine, and the fix
  llm_llm list                                 the models there are, and what is wrong with one
  llm_llm package ./Qwen2-0.5B-w8a16 --name q  what makes a model of pulsar2's output

Every option --x-y can be given as environment variable LLM_LLM_X_Y; the command line wins.)";

// Every long option can come from the environment: the service has no arguments.
void add_environment_names(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    const auto& names = option->get_lnames();
    if (names.empty() || names.front() == "help" || names.front() == "version") continue;
    std::string name = "LLM_LLM_" + names.front();
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) {
      return c == '-' ? '_' : static_cast<char>(std::toupper(c));
    });
    option->envname(name);
  }
  for (CLI::App* subcommand : app.get_subcommands({})) add_environment_names(*subcommand);
}

std::vector<std::filesystem::path> default_roots(const std::filesystem::path& root) {
  std::vector<std::filesystem::path> roots = {root / "opt/m5stack/data"};
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) roots.push_back(program.parent_path() / "models");
  return roots;
}

void add_common(CLI::App& app, Options& options) {
  app.add_option("--models", options.models.roots,
                 "folder of model folders, repeatable (default: /opt/m5stack/data, then models/ "
                 "beside the program)")
      ->type_name("DIR")
      ->take_all();
  app.add_option("--engine", options.models.engine, "auto, cpu, ax or axcl")
      ->check(CLI::IsMember({"auto", "cpu", "ax", "axcl"}))
      ->capture_default_str();
  app.add_option("--threads", options.models.threads, "CPU threads; 0: one per core")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_option("--context", options.models.context, "most rows of a conversation")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--ax-lib-dir", options.models.ax_lib_dir,
                 "folder of libax_sys.so, libax_interpreter.so and libax_engine.so (default: the "
                 "loader's path, then vendors' folders)")
      ->type_name("DIR");
  app.add_flag("--ax-kv-in-place", options.models.ax_kv_in_place,
               "let the NPU write K/V rows where they belong (not proven on hardware)");
  app.add_option("--root", options.models.root, "stands in front of /proc, /dev, /opt and the like")
      ->type_name("DIR")
      ->capture_default_str();
  app.add_option(
         "--log-level", options.log_level,
         "trace, debug, info, warn, error or off (default: info for unit and serve, else warn)")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "off"}));
}

void add_unit_options(CLI::App& command, UnitOptions& options) {
  command.add_option("--max-tasks", options.max_tasks, "tasks set up at a time")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command.add_option("--queue", options.queue, "inferences that may wait in a task")
      ->check(CLI::Range(0, 100000))
      ->capture_default_str();
}

void add_unit(CLI::App& app, UnitModeOptions& options) {
  auto* unit = app.add_subcommand("unit", "be llm-sys's llm unit (what it does without a command)");
  unit->add_option("--socket-root", options.socket_root, "folder of rpc.sys and rpc.llm")
      ->type_name("DIR")
      ->capture_default_str();
  add_unit_options(*unit, options.unit);
}

CLI::App* add_serve(CLI::App& app, ServeOptions& options) {
  auto* serve = app.add_subcommand("serve", "answer the llm-sys protocol on a TCP port");
  serve->add_option("--listen", options.listen, "address to listen on")
      ->check([](const std::string& address) {
        return std::string(address.empty() ? "expected an address or a host name" : "");
      })
      ->capture_default_str();
  serve->add_option("--port", options.port, "port; 0: any free one")->capture_default_str();
  add_unit_options(*serve, options.unit);
  return serve;
}

void add_prompt_options(CLI::App& command, runner::ModeParams& params) {
  // Not into the variable itself, which would be set to false without the flag.
  command.add_flag_function(
      "--thinking,!--no-thinking",
      [&params](std::int64_t count) { params.enable_thinking = count > 0; },
      "have a model think before it answers, or not, that can be asked to");
  command
      .add_option("--template-family", params.chat_template_family,
                  "chat template in place of the model's: chatml, qwen3, …")
      ->type_name("NAME");
}

CLI::App* add_run(CLI::App& app, RunOptions& options) {
  auto* run = app.add_subcommand("run", "one answer, or a chat on the terminal");
  auto* model = run->add_option("model", options.model, "a path, or a name under --models");
  run->add_option("-p,--prompt", options.prompt, "what to ask; without it a chat");
  auto* asks_on =
      run->add_option("--continue", options.asks_on, "1: a chat follows, until a line \"q\"");
  run->add_option("--live_print", options.prints_live, "0: an answer is printed when it is whole");
  run->add_option("--system,--system_prompt", options.system, "system prompt");
  run->add_option("--max-new-tokens", options.max_new_tokens, "most tokens of an answer")
      ->check(CLI::Range(1, 1 << 30));
  run->add_flag("--greedy", options.greedy, "always the best token");
  run->add_option("--seed", options.seed, "makes sampling repeatable");
  run->add_option("--temperature", options.params.temperature, "0 counts as 0.01");
  run->add_option("--top-k", options.params.top_k, "choose among the k best tokens");
  run->add_option("--top-p", options.params.top_p, "choose among the best that reach this share");
  run->add_option("--soft-prefix", options.soft_prefix,
                  "safetensors file with prompt_embeddings [P, H] to put before the prompt")
      ->type_name("FILE");
  add_prompt_options(*run, options.params);
  run->add_option("--ids", options.ids, "token ids to feed as they are, without template")
      ->delimiter(',')
      ->excludes("--prompt")
      ->excludes(asks_on);
  run->add_flag("--print-ids", options.print_ids, "print the new token ids instead of text");
  run->add_flag("--ignore-eos", options.ignore_eos, "go on past the end of the answer");
  add_run_script_options(*run, *model, options.script);
  run->callback([&options] {
    if (options.model.empty() && options.script.layers.empty()) {
      throw CLI::RequiredError("MODEL, or a model described with --template_filename_axmodel,");
    }
  });
  return run;
}

CLI::App* add_bench(CLI::App& app, BenchOptions& options) {
  auto* bench = app.add_subcommand("bench", "prefill and decode speed, load time, memory");
  bench->add_option("model", options.model, "a path, or a name under --models")->required();
  bench->add_option("--prompt-tokens", options.prompt_tokens, "rows of the prompt")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  bench->add_option("--new-tokens", options.new_tokens, "tokens generated")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  bench->add_option("--runs", options.runs, "runs, after one that is not counted")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  bench->add_flag("--json", options.json, "one JSON object instead of text");
  return bench;
}

CLI::App* add_inspect(CLI::App& app, InspectOptions& options) {
  auto* inspect = app.add_subcommand("inspect", "what a model folder holds");
  inspect->add_option("model", options.model, "a path, or a name under --models")->required();
  inspect->add_flag("--json", options.json, "one JSON object instead of text");
  return inspect;
}

CLI::App* add_tokenize(CLI::App& app, TokenizeOptions& options) {
  auto* tokenize = app.add_subcommand("tokenize", "what a model's tokenizer makes of stdin");
  tokenize->add_option("model", options.model, "a path, or a name under --models")->required();
  auto* decode = tokenize->add_flag("--decode", options.decode, "token ids on stdin to text");
  tokenize->add_flag("--ids", options.ids_only, "only the ids, on one line")->excludes(decode);
  auto* special = tokenize->add_flag("--special", options.special,
                                     "special tokens are recognised in the text and put around it");
  special->excludes(decode);
  tokenize
      ->add_flag("--template", options.use_template,
                 "the text is a user's: the prompt that the chat template makes of it")
      ->excludes(decode)
      ->excludes(special);
  tokenize->add_option("--system", options.system, "system prompt, with --template");
  add_prompt_options(*tokenize, options.params);
  return tokenize;
}

CLI::App* add_doctor(CLI::App& app, DoctorOptions& options) {
  auto* doctor = app.add_subcommand("doctor", "what is wrong with this machine, and the fix");
  doctor
      ->add_option("--socket-root", options.socket_root,
                   "folder of rpc.sys and rpc.llm (default: /tmp below --root)")
      ->type_name("DIR");
  doctor->add_flag("--json", options.json, "one JSON object instead of text");
  return doctor;
}

CLI::App* add_list(CLI::App& app, ListOptions& options) {
  auto* list = app.add_subcommand("list", "the models under --models, broken ones too");
  list->add_flag("--json", options.json, "one JSON array instead of text");
  return list;
}

CLI::App* add_package(CLI::App& app, PackageCommandOptions& options) {
  runner::PackageOptions& package = options.package;
  auto* command = app.add_subcommand(
      "package", "make a model of a folder of .axmodel files: its mode json, links to its files");
  command
      ->add_option("dir", package.wanted.source,
                   "what pulsar2 left, a clone from HuggingFace, or a folder of either")
      ->required();
  command->add_option("--name", package.name, "the model's name")->required();
  command
      ->add_option("--output", package.output,
                   "folder of model folders (default: the one that DIR is in)")
      ->type_name("DIR");
  command
      ->add_option("--tokenizer", package.wanted.tokenizer,
                   "folder of the tokenizer, such as the original model's (default: looked for)")
      ->type_name("DIR");
  command->add_option("--hidden", package.wanted.hidden, "values of an embedding")
      ->check(CLI::Range(1, 1 << 20));
  command
      ->add_option("--precompute-len", package.precompute_len,
                   "makes a context model, which keeps the conversation: StackFlow's setting")
      ->check(CLI::Range(1, 1 << 20));
  command->add_flag("--copy", package.copy, "copy files instead of linking them");
  command->add_flag("--force", package.force, "replace a mode json that is there");
  command->add_flag("--write", options.write, "do it, instead of telling what would be done");
  return command;
}

}  // namespace

std::optional<Options> parse_options(int argc, char** argv, int& exit_status) {
  Options options;
  CLI::App app("An on-device LLM unit that speaks M5Stack's llm-sys protocol", "llm_llm");
  app.footer(kExamples);
  app.set_version_flag("--version", "llm_llm " + std::string(kVersion));
  app.require_subcommand(0, 1);
  app.fallthrough();  // the common options may stand behind the command
  add_common(app, options);
  add_unit(app, options.unit);
  const CLI::App* serve = add_serve(app, options.serve);
  const CLI::App* run = add_run(app, options.run);
  const CLI::App* bench = add_bench(app, options.bench);
  const CLI::App* inspect = add_inspect(app, options.inspect);
  const CLI::App* tokenize = add_tokenize(app, options.tokenize);
  const CLI::App* doctor = add_doctor(app, options.doctor);
  const CLI::App* list = add_list(app, options.list);
  const CLI::App* package = add_package(app, options.package);
  add_environment_names(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    exit_status = app.exit(error) == 0 ? 0 : 2;
    return std::nullopt;
  }
  options.command = serve->parsed()      ? Command::kServe
                    : run->parsed()      ? Command::kRun
                    : bench->parsed()    ? Command::kBench
                    : inspect->parsed()  ? Command::kInspect
                    : tokenize->parsed() ? Command::kTokenize
                    : doctor->parsed()   ? Command::kDoctor
                    : list->parsed()     ? Command::kList
                    : package->parsed()  ? Command::kPackage
                                         : Command::kUnit;
  if (options.models.roots.empty()) options.models.roots = default_roots(options.models.root);
  options.serve.root = options.models.root;
  options.doctor.root = options.models.root;
  options.doctor.models = options.models.roots;
  if (options.log_level.empty()) {
    const bool is_service = options.command == Command::kServe || options.command == Command::kUnit;
    options.log_level = is_service ? "info" : "warn";
  }
  exit_status = 0;
  return options;
}

}  // namespace main_llm
