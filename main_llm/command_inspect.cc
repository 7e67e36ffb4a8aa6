#include <simdjson.h>

#include <iostream>
#include <string>
#include <string_view>

#include "main_llm/commands.h"

namespace main_llm {

int inspect(const InspectOptions& options, ModelLoader& loader) {
  const std::string json = loader.inspect(options.model, true);
  if (options.json) {
    std::cout << json << '\n';
    return 0;
  }
  simdjson::dom::parser parser;
  const simdjson::dom::object facts = parser.parse(simdjson::padded_string(json));
  for (const auto& [key, value] : facts) {
    std::string_view text;
    std::cout << key << std::string(key.size() < 16 ? 16 - key.size() : 1, ' ');
    if (value.get(text) == simdjson::SUCCESS) {
      std::cout << text << '\n';
    } else {
      std::cout << value << '\n';
    }
  }
  return 0;
}

}  // namespace main_llm
