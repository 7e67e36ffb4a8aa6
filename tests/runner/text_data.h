#pragma once

#include <simdjson.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "runner/error.h"
#include "runner/file_text.h"
#include "runner/text/tokenizer_json.h"

// What the tests of the text side share: the files of tests/data/text (make_golden.py made them)
// and random text.
namespace text_data {

inline std::string read(const std::string& name) {
  return runner::read_text_file(std::filesystem::path(TEST_DATA_DIR) / "text" / name);
}

inline std::vector<std::string> lines() {
  simdjson::dom::parser parser;
  const simdjson::padded_string json(read("lines.json"));
  std::vector<std::string> result;
  for (const auto line : simdjson::dom::array(parser.parse(json))) {
    result.emplace_back(std::string_view(line));
  }
  return result;
}

// `kind`: "qwen2", "gpt2" or "rarer".
inline runner::BpeDefinition tokenizer(const std::string& kind) {
  return runner::parse_tokenizer_json(read(kind + ".tokenizer.json"));
}

inline void append_utf8(std::uint32_t point, std::string& text) {
  const auto add = [&text](std::uint32_t byte) { text += static_cast<char>(byte); };
  if (point < 0x80) return add(point);
  if (point < 0x800) {
    add(0xC0U | (point >> 6U));
  } else {
    if (point < 0x10000) {
      add(0xE0U | (point >> 12U));
    } else {
      add(0xF0U | (point >> 18U));
      add(0x80U | ((point >> 12U) & 0x3FU));
    }
    add(0x80U | ((point >> 6U) & 0x3FU));
  }
  add(0x80U | (point & 0x3FU));
}

// Valid UTF-8 of up to `most_points` code points: half of them ASCII, the others any at all.
inline std::string random_text(std::mt19937& random, std::size_t most_points) {
  std::string text;
  for (std::size_t points = random() % (most_points + 1); points > 0; --points) {
    auto point = static_cast<std::uint32_t>(random() % (random() % 2 == 0 ? 0x80 : 0x110000));
    if (point >= 0xD800 && point < 0xE000) point = ' ';
    append_utf8(point, text);
  }
  return text;
}

// The message of the Error(kBadModel) that `work` throws; what else happened otherwise.
inline std::string bad_model(const std::function<void()>& work) {
  try {
    work();
  } catch (const runner::Error& error) {
    if (error.code() == runner::ErrorCode::kBadModel) return error.what();
    return std::string("an Error of another code: ") + error.what();
  }
  return "no Error";
}

}  // namespace text_data
