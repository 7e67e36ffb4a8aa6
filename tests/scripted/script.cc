#include "tests/scripted/script.h"

#include <simdjson.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <utility>

#include "protocol/base64.h"
#include "runner/error.h"

namespace scripted {
namespace {

using runner::Error;
using runner::ErrorCode;
using simdjson::dom::element;

// Reads the keys of one object of a script; errors name the file and the place in it.
class ScriptReader {
 public:
  ScriptReader(element value, std::string where) : where_(std::move(where)) {
    if (value.get(object_) != simdjson::SUCCESS) fail("is not an object");
  }

  // Throws for a key that is not one of `keys`: most likely a slip of the pen.
  void allow_only(std::initializer_list<std::string_view> keys) const {
    for (const auto& [key, value] : object_) {
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
        fail("has the unknown key \"" + std::string(key) + "\"");
      }
    }
  }

  std::optional<element> find(std::string_view key) const {
    element value;
    if (object_.at_key(key).get(value) != simdjson::SUCCESS) return std::nullopt;
    return value;
  }

  std::optional<std::string> text(std::string_view key) const {
    const auto value = find(key);
    if (!value) return std::nullopt;
    std::string_view text;
    if (value->get(text) != simdjson::SUCCESS) fail_key(key, "a string");
    return std::string(text);
  }

  int integer(std::string_view key, int fallback, int least = 0) const {
    const auto value = find(key);
    if (!value) return fallback;
    std::int64_t number = 0;
    if (value->get(number) != simdjson::SUCCESS || number < least || number > 100'000'000) {
      fail_key(key, "an integer from " + std::to_string(least));
    }
    return static_cast<int>(number);
  }

  milliseconds delay(std::string_view key) const { return milliseconds(integer(key, 0)); }

  bool flag(std::string_view key) const {
    const auto value = find(key);
    if (!value) return false;
    bool on = false;
    if (value->get(on) != simdjson::SUCCESS) fail_key(key, "true or false");
    return on;
  }

  std::optional<std::vector<std::string>> texts(std::string_view key) const {
    const auto value = find(key);
    if (!value) return std::nullopt;
    simdjson::dom::array array;
    if (value->get(array) != simdjson::SUCCESS) fail_key(key, "an array of strings");
    std::vector<std::string> texts;
    for (const element item : array) {
      std::string_view text;
      if (item.get(text) != simdjson::SUCCESS) fail_key(key, "an array of strings");
      texts.emplace_back(text);
    }
    return texts;
  }

  const std::string& where() const { return where_; }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::kBadModel, where_ + " " + what);
  }
  [[noreturn]] void fail_key(std::string_view key, const std::string& expected) const {
    fail("has a \"" + std::string(key) + "\" that is not " + expected);
  }

 private:
  simdjson::dom::object object_;
  std::string where_;
};

std::vector<Gate> read_gates(const ScriptReader& rule) {
  const auto value = rule.find("gate");
  if (!value) return {};
  const auto read_one = [&](element item) {
    std::string_view name;
    if (item.get(name) == simdjson::SUCCESS) return Gate{std::string(name), 0};
    const ScriptReader gate(item, rule.where() + ".gate");
    gate.allow_only({"file", "at"});
    const auto file = gate.text("file");
    if (!file) gate.fail("has no \"file\"");
    return Gate{*file, gate.integer("at", 0)};
  };
  std::vector<Gate> gates;
  simdjson::dom::array array;
  if (value->get(array) != simdjson::SUCCESS) return {read_one(*value)};
  for (const element item : array) gates.push_back(read_one(item));
  return gates;
}

void read_answer(const ScriptReader& reader, Rule& rule, std::vector<std::string>& pieces) {
  int kinds = 0;
  std::vector<std::string> own;
  if (auto texts = reader.texts("answer")) {
    ++kinds;
    own = std::move(*texts);
  }
  if (auto texts = reader.texts("answer_b64")) {
    ++kinds;
    for (const std::string& text : *texts) {
      auto bytes = protocol::base64_decode(text);
      if (!bytes) reader.fail_key("answer_b64", "base64");
      own.push_back(std::move(*bytes));
    }
  }
  for (std::string& piece : own) {
    rule.pieces.push_back(kFirstPiece + static_cast<TokenId>(pieces.size()));
    pieces.push_back(std::move(piece));
  }
  const auto choose = [&](Rule::Kind kind) {
    ++kinds;
    rule.kind = kind;
  };
  if (reader.find("echo")) choose(Rule::Kind::kEcho);
  if (reader.flag("describe")) choose(Rule::Kind::kDescription);
  if (reader.flag("transcript")) choose(Rule::Kind::kTranscript);
  if (reader.flag("counts")) choose(Rule::Kind::kCallCounts);
  if (reader.find("stamp")) choose(Rule::Kind::kStamps);
  if (kinds > 1) {
    reader.fail(
        "has more than one of answer, answer_b64, echo, describe, transcript, counts, stamp");
  }
  rule.echo_bytes = reader.integer("echo", 1, 1);
  rule.stamps = reader.integer("stamp", 0);
  rule.repeat = reader.integer("repeat", 1);
}

Rule read_rule(const ScriptReader& reader, std::vector<std::string>& pieces) {
  reader.allow_only({"prompt", "contains", "answer", "answer_b64", "echo", "describe", "transcript",
                     "counts", "stamp", "repeat", "prefill_ms", "decode_ms", "gate", "fail_prefill",
                     "fail_decode"});
  Rule rule;
  if (const auto prompt = reader.text("prompt")) {
    rule.match = Rule::Match::kExact;
    rule.pattern = *prompt;
  } else if (const auto part = reader.text("contains")) {
    rule.match = Rule::Match::kContains;
    rule.pattern = *part;
  }
  read_answer(reader, rule, pieces);
  rule.prefill_delay = reader.delay("prefill_ms");
  rule.decode_delay = reader.delay("decode_ms");
  rule.gates = read_gates(reader);
  rule.fail_prefill = reader.text("fail_prefill");
  if (const auto value = reader.find("fail_decode")) {
    const ScriptReader failure(*value, reader.where() + ".fail_decode");
    failure.allow_only({"at", "message"});
    rule.fail_decode_at = failure.integer("at", 1, 1);
    rule.fail_decode = failure.text("message").value_or("decode failed by script");
  }
  return rule;
}

}  // namespace

Script read_script(const std::filesystem::path& folder) {
  const std::string path = (folder / "script.json").string();
  simdjson::dom::parser parser;
  element root;
  if (const auto error = parser.load(path).get(root)) {
    throw Error(ErrorCode::kBadModel, path + ": " + simdjson::error_message(error));
  }
  const ScriptReader reader(root, path);
  reader.allow_only({"context_length", "hidden_size", "mode_param", "load_ms", "load_gate",
                     "load_error", "load_out_of_memory", "rules"});
  Script script;
  script.folder = folder;
  script.context = reader.integer("context_length", script.context, 1);
  script.hidden = reader.integer("hidden_size", script.hidden, kMinHidden);
  if (const auto params = reader.find("mode_param")) {
    script.mode_param = runner::parse_mode_params(simdjson::minify(*params));
  }
  script.load_delay = reader.delay("load_ms");
  script.load_gate = reader.text("load_gate").value_or("");
  script.load_error = reader.text("load_error").value_or("");
  script.out_of_memory = reader.flag("load_out_of_memory");
  if (const auto rules = reader.find("rules")) {
    simdjson::dom::array array;
    if (rules->get(array) != simdjson::SUCCESS) reader.fail_key("rules", "an array");
    for (const element item : array) {
      const ScriptReader rule(item, path + ": rules[" + std::to_string(script.rules.size()) + "]");
      script.rules.push_back(read_rule(rule, script.pieces));
    }
  }
  return script;
}

}  // namespace scripted
