#include <algorithm>
#include <iomanip>
#include <iostream>
#include <string>
#include <vector>

#include "main_llm/byte_count.h"
#include "main_llm/commands.h"
#include "protocol/json_writer.h"
#include "runner/text/utf8_stream.h"

namespace main_llm {
namespace {

std::string listing_json(const ModelListing& model) {
  const auto quoted = [](const std::string& text) {
    return protocol::json_string(runner::to_valid_utf8(text));
  };
  std::string problems;
  for (const std::string& problem : model.problems) {
    problems += (problems.empty() ? "" : ",") + quoted(problem);
  }
  return "{\"name\":" + quoted(model.name) + ",\"type\":" + quoted(model.type) +
         ",\"engine\":" + quoted(model.engine) +
         ",\"context_length\":" + (model.context ? std::to_string(*model.context) : "null") +
         ",\"weights_bytes\":" + std::to_string(model.weights_bytes) + ",\"problems\":[" +
         problems + "]}";
}

void print_row(std::size_t name_width, const std::vector<std::string>& cells) {
  std::cout << std::left << std::setw(static_cast<int>(name_width)) << cells[0] << "  "
            << std::setw(6) << cells[1] << "  " << std::right << std::setw(7) << cells[2] << "  "
            << std::setw(9) << cells[3] << '\n';
}

void print_listing(const std::vector<ModelListing>& models) {
  std::size_t width = 5;
  for (const ModelListing& model : models) width = std::max(width, model.name.size());
  print_row(width, {"MODEL", "ENGINE", "CONTEXT", "WEIGHTS"});
  for (const ModelListing& model : models) {
    if (model.type != "llm") {
      std::cout << std::left << std::setw(static_cast<int>(width)) << model.name << "  of type "
                << model.type << ": for another unit\n";
      continue;
    }
    print_row(width, {model.name, model.engine.empty() ? "-" : model.engine,
                      model.context ? std::to_string(*model.context) : "-",
                      model.weights_bytes > 0 ? byte_count(model.weights_bytes) : "-"});
    for (const std::string& problem : model.problems) {
      std::cout << std::string(width + 2, ' ') << "broken: " << problem << '\n';
    }
  }
}

}  // namespace

int list(const ListOptions& options, ModelLoader& loader) {
  const std::vector<ModelListing> models = loader.list();
  if (!options.json) {
    print_listing(models);
    return 0;
  }
  std::string json;
  for (const ModelListing& model : models) {
    json += (json.empty() ? "[" : ",") + listing_json(model);
  }
  std::cout << (json.empty() ? "[" : json) << "]\n";
  return 0;
}

}  // namespace main_llm
