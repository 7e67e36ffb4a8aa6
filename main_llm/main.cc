#include <exception>
#include <iostream>

#include "main_llm/commands.h"
#include "main_llm/model_loader.h"
#include "main_llm/options.h"
#include "main_llm/run_unit.h"
#include "main_llm/serve.h"
#include "protocol/log.h"

int main(int argc, char** argv) {
  int exit_status = 0;
  try {
    const auto options = main_llm::parse_options(argc, argv, exit_status);
    if (!options) return exit_status;
    protocol::set_up_log(options->log_level);
    const auto loader = main_llm::make_model_loader(options->models);
    switch (options->command) {
      case main_llm::Command::kUnit:
        return main_llm::run_unit(options->unit, *loader);
      case main_llm::Command::kServe:
        return main_llm::serve(options->serve, *loader);
      case main_llm::Command::kRun:
        return main_llm::run(options->run, *loader);
      case main_llm::Command::kBench:
        return main_llm::bench(options->bench, *loader);
      case main_llm::Command::kInspect:
        return main_llm::inspect(options->inspect, *loader);
      case main_llm::Command::kTokenize:
        return main_llm::tokenize(options->tokenize, *loader);
      case main_llm::Command::kDoctor:
        return main_llm::doctor(options->doctor, *loader);
      case main_llm::Command::kList:
        return main_llm::list(options->list, *loader);
      case main_llm::Command::kPackage:
        return main_llm::package(options->package);
    }
  } catch (const std::exception& error) {
    std::cerr << protocol::journal_prefix(protocol::LogLevel::kError) << "llm_llm: " << error.what()
              << '\n';
  }
  return 1;
}
