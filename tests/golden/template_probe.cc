// Conversations as a model's own chat template writes them, for the comparison with Jinja's.
//
//   template_probe MODEL_DIR < CONVERSATIONS > TEXTS
//
// CONVERSATIONS is a JSON array of {"system": TEXT, "turns": [user, answer, user, …], "now":
// seconds since 1970, "enable_thinking": true, false or null}. Each text ends with a NUL.
#include <simdjson.h>

#include <chrono>
#include <cstdint>
#include <exception>
#include <iostream>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "runner/text/chat_template.h"
#include "runner/text/text_model.h"

namespace {

using namespace runner;
using simdjson::dom::element;

std::string render(const ChatTemplate& chat_template, const element& conversation) {
  std::optional<bool> enable_thinking;
  if (const element value = conversation["enable_thinking"]; !value.is_null()) {
    enable_thinking = bool(value);
  }
  const std::chrono::seconds now{std::int64_t(conversation["now"])};
  std::vector<std::string> turns;
  for (const auto turn : simdjson::dom::array(conversation["turns"])) {
    turns.emplace_back(std::string_view(turn));
  }
  return render_conversation(chat_template.format(enable_thinking, ChatTemplate::Time(now)),
                             std::string_view(conversation["system"]), turns);
}

void run(const char* directory) {
  const TextModel model = load_text_model(directory);
  if (!model.chat_template) throw std::runtime_error(model.template_error);
  const std::string input{std::istreambuf_iterator<char>(std::cin), {}};
  simdjson::dom::parser parser;
  for (const auto conversation : simdjson::dom::array(parser.parse(input))) {
    std::cout << render(*model.chat_template, conversation) << '\0';
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 2) throw std::runtime_error("usage: template_probe MODEL_DIR");
    run(argv[1]);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "template_probe: " << error.what() << '\n';
    return 1;
  }
}
