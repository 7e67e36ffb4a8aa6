#include <iostream>
#include <map>
#include <string>
#include <tuple>

#include "main_llm/byte_count.h"
#include "main_llm/commands.h"
#include "main_llm/progress_bar.h"

namespace main_llm {
namespace {

void print_line(const char* label, const std::string& value) {
  std::cout << label << std::string(16 - std::string_view(label).size(), ' ') << value << '\n';
}

std::string behind(const std::string& source) { return source.empty() ? "" : " (" + source + ")"; }

// Parts that were not found are left out: the problems speak of them.
void print_parts(const runner::PackageParts& parts) {
  if (parts.layer_count > 0) {
    print_line("layers", std::to_string(parts.layer_count) + " of " +
                             (parts.directory / parts.layers.pattern).string());
    print_line("prefill", parts.layers.prefill > 0 ? std::to_string(parts.layers.prefill) + " rows"
                                                   : "not told by the names");
  }
  if (!parts.post.empty()) print_line("last graph", parts.post);
  if (!parts.embeddings.empty()) print_line("embeddings", parts.embeddings);
  if (parts.hidden > 0) {
    print_line("vocab_size", std::to_string(parts.rows) + behind(parts.sizes_from));
    print_line("hidden_size", std::to_string(parts.hidden));
  }
  if (!parts.tokenizer.empty()) {
    print_line("tokenizer",
               "type " + std::to_string(parts.tokenizer_type) + ", " + parts.tokenizer.string());
  }
  if (!parts.samplers_from.empty()) print_line("samplers", parts.samplers_from);
}

void print_steps(const runner::PackagePlan& plan) {
  using Kind = runner::PackageStep::Kind;
  static const std::map<Kind, const char*> kWords = {{Kind::kLink, "link"},
                                                     {Kind::kCopy, "copy"},
                                                     {Kind::kConvert, "convert"},
                                                     {Kind::kWrite, "write"}};
  // Dozens of files that go from one folder to another are one line.
  struct Files {
    const runner::PackageStep* first = nullptr;
    int count = 0;
    std::uint64_t bytes = 0;
  };
  std::map<std::tuple<Kind, std::string, std::string>, Files> groups;
  for (const runner::PackageStep& step : plan.steps) {
    Files& files =
        groups[{step.kind, step.from.parent_path().string(), step.to.parent_path().string()}];
    if (files.count++ == 0) files.first = &step;
    files.bytes += step.bytes;
  }
  for (const auto& [key, files] : groups) {
    const auto& [kind, from, to] = key;
    const runner::PackageStep& step = *files.first;
    std::string what = step.to.string();
    if (files.count > 1) {
      what = std::to_string(files.count) + " files of " + from + " in " + to;
    } else if (kind != Kind::kWrite) {
      what = step.from.string() + " to " + what;
    }
    if (files.bytes > 0) what += ", " + byte_count(files.bytes);
    print_line(kWords.at(kind), what);
    if (kind == Kind::kWrite) std::cout << step.text;
  }
}

}  // namespace

int package(const PackageCommandOptions& options) {
  const runner::PackagePlan plan = runner::plan_package(options.package);
  print_parts(plan.parts);
  for (const std::string& note : plan.notes) print_line("note", note);
  if (!plan.problems.empty()) {
    std::cout << "\nThis is in the way:\n";
    for (const std::string& problem : plan.problems) std::cout << "  " << problem << '\n';
    return 1;
  }
  std::cout << '\n';
  print_steps(plan);
  if (!options.write) {
    std::cout << "\nNothing was changed: this is what --write does.\n";
    return 0;
  }
  {
    ProgressBar bar("writing");
    runner::carry_out(plan, [&bar](double fraction) { bar.show(fraction); });
  }
  std::cout << "\nDone: llm_llm run " << options.package.name << " --models "
            << plan.directory.parent_path().string() << '\n';
  return 0;
}

}  // namespace main_llm
