#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "main_llm/commands.h"
#include "main_llm/progress_bar.h"
#include "runner/conversation.h"
#include "runner/random_seed.h"
#include "runner/soft_prefix_file.h"

namespace main_llm {
namespace {

runner::GenerationOptions generation_options(const RunOptions& options,
                                             const runner::Model& model) {
  runner::ModeParams asked = options.params;
  if (options.greedy) {
    asked.enable_top_k_sampling = false;
    asked.enable_top_p_sampling = false;
  }
  runner::GenerationOptions generation;
  generation.sampler = runner::task_sampler(model, asked);
  generation.seed = options.seed ? *options.seed : runner::random_seed();
  generation.max_new_tokens = options.max_new_tokens;
  generation.ignore_stop = options.ignore_eos;
  return generation;
}

void print_text(std::string_view text) { std::cout << text << std::flush; }

void print_ids(const std::vector<runner::TokenId>& ids) {
  for (std::size_t i = 0; i < ids.size(); ++i) std::cout << (i > 0 ? "," : "") << ids[i];
}

void print_summary(const runner::GenerationResult& result) {
  const auto new_tokens = result.tokens.size();
  std::fprintf(stderr,
               "prompt_tokens=%d new_tokens=%zu time_to_first_token_ms=%.1f tok/s=%.1f finish=%s\n",
               result.prompt_rows, new_tokens, result.first_token_ms,
               result.decode_ms > 0 ? static_cast<double>(new_tokens) * 1000 / result.decode_ms : 0,
               std::string(runner::to_string(result.finish)).c_str());
}

class Runner {
 public:
  Runner(const RunOptions& options, std::shared_ptr<const runner::Model> model)
      : options_(options),
        model_(std::move(model)),
        generation_(generation_options(options, *model_)),
        sink_(options.print_ids || !options.prints_live ? runner::TextSink{}
                                                        : runner::TextSink{print_text}) {
    if (!options.soft_prefix.empty()) {
      prefix_ = std::make_shared<const runner::SoftPrefix>(
          runner::read_soft_prefix_file(options.soft_prefix, model_->shape.hidden));
    }
    prompt_options_ = runner::prompt_options(
        model_->mode_param, options.params,
        !options.system.empty() ? options.system : model_->mode_param.system_prompt.value_or(""));
  }

  void continue_ids() {
    const auto encoder = model_->new_prompt_encoder(prompt_options_);
    runner::Session session(model_->new_engine(), model_->embeddings, *encoder, false);
    finish(session.generate(options_.ids, prefix_, generation_, sink_, {}));
  }

  void answer(const std::string& prompt) {
    runner::Conversation conversation(model_, prompt_options_, false);
    finish(conversation.ask(prompt, prefix_, generation_, sink_, {}));
  }

  void chat() {
    runner::Conversation conversation(model_, prompt_options_, !model_->writes_single_turns);
    const bool terminal = isatty(STDIN_FILENO) != 0;
    if (options_.prompt && !options_.prompt->empty()) {
      finish(conversation.ask(*options_.prompt, prefix_, generation_, sink_, {}));
    }
    if (terminal) std::cerr << "An empty line is skipped; /reset starts afresh; end with Ctrl-D.\n";
    std::string line;
    for (;;) {
      if (terminal) std::cerr << "> ";
      if (!std::getline(std::cin, line) || (options_.asks_on && line == "q")) break;
      if (line == "/reset") {
        conversation.reset();
      } else if (!line.empty()) {
        finish(conversation.ask(line, prefix_, generation_, sink_, {}));
      }
    }
  }

 private:
  void finish(const runner::GenerationResult& result) {
    if (options_.print_ids) {
      print_ids(result.tokens);
    } else if (!options_.prints_live) {
      print_text(result.text);
    }
    std::cout << std::endl;
    print_summary(result);
  }

  const RunOptions& options_;
  std::shared_ptr<const runner::Model> model_;
  runner::GenerationOptions generation_;
  runner::TextSink sink_;
  std::shared_ptr<const runner::SoftPrefix> prefix_;
  runner::PromptOptions prompt_options_;
};

}  // namespace

int run(RunOptions options, ModelLoader& loader) {
  options.params = runner::merge(run_script_params(options.script), options.params);
  std::shared_ptr<const runner::Model> model;
  {
    ProgressBar bar("loading");
    const auto progress = [&](double fraction) { bar.show(fraction); };
    model = options.model.empty() ? loader.load_described(describe_model(options.script), progress)
                                  : loader.load(options.model, true, progress);
  }
  Runner runner(options, std::move(model));
  if (!options.ids.empty()) {
    runner.continue_ids();
  } else if (options.prompt && !options.asks_on) {
    runner.answer(*options.prompt);
  } else {
    runner.chat();
  }
  return 0;
}

}  // namespace main_llm
