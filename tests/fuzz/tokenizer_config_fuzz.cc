// Feeds any bytes to the reading of a model's folder twice: as its tokenizer_config.json beside a
// good tokenizer.json, and as its chat template. A broken one may only be answered with
// runner::Error; one that is followed must write every conversation, and each text of it once.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "runner/error.h"
#include "runner/text/byte_alphabet.h"
#include "runner/text/chat_template.h"
#include "runner/text/text_model.h"

namespace {

using namespace runner;
namespace fs = std::filesystem;

void check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

std::string bytes_only_tokenizer() {
  std::string vocabulary;
  for (unsigned byte = 0; byte < 256; ++byte) {
    std::string symbol = byte_symbol(static_cast<std::uint8_t>(byte));
    if (symbol == "\"" || symbol == "\\") symbol.insert(0, "\\");
    vocabulary += (byte > 0 ? ",\"" : "\"") + symbol + "\":" + std::to_string(byte);
  }
  return R"({"added_tokens":[{"id":256,"content":"<|im_end|>","special":true}],
      "pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"use_regex":true},
      "model":{"type":"BPE","merges":[],"vocab":{)" +
         vocabulary + "}}}";
}

// A model folder of this process, removed at its end.
class Folder {
 public:
  Folder() : path_(fs::temp_directory_path() / "tokenizer_config_fuzz_XXXXXX") {
    std::string name = path_.string();
    check(mkdtemp(name.data()) != nullptr, "no temporary folder");
    path_ = name;
    write("tokenizer.json", bytes_only_tokenizer());
  }
  ~Folder() { fs::remove_all(path_); }

  void write(const char* name, std::string_view bytes) const {
    std::ofstream(path_ / name, std::ios::binary) << bytes;
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

void read_config(std::string_view bytes) {
  static const Folder folder;
  folder.write("tokenizer_config.json", bytes);
  try {
    const TextModel model = load_text_model(folder.path());
    check(model.chat_template.has_value() != !model.template_error.empty(),
          "no template, no reason");
    model.new_prompt_encoder({})->begin("x");
  } catch (const Error&) {
    // What a broken file is to give.
  }
}

void read_template(std::string_view bytes) {
  try {
    const ChatTemplate chat = ChatTemplate::recognise(bytes, "<s>", "</s>");
    const std::string text = render_conversation(chat.format({}, {}), "",
                                                 {"\x01u",
                                                  "\x01"
                                                  "a",
                                                  "\x01v"});
    for (const char* part : {"\x01u",
                             "\x01"
                             "a",
                             "\x01v"}) {
      const auto at = text.find(part);
      check(at != std::string::npos && text.find(part, at + 1) == std::string::npos,
            "a text is not there once");
    }
  } catch (const Error&) {
    // The same.
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  const std::string_view input(reinterpret_cast<const char*>(data), bytes);
  read_config(input);
  read_template(input);
  return 0;
}
