// The model loader of llm_llm_scripted: "models" that answer as a script says, for tests of
// everything around an engine. tests/scripted/README.md describes the script format.
//
// Engine, cache and encoder keep to their contracts: the cache holds a token id (or the values of
// a soft prefix row) for each row, and what comes next is a function of the cache alone.

#include <simdjson.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "main_llm/model_loader.h"
#include "protocol/base64.h"
#include "protocol/json_writer.h"
#include "runner/error.h"

namespace main_llm {
namespace {

using runner::Bf16;
using runner::Error;
using runner::ErrorCode;
using runner::TokenId;
using simdjson::dom::element;
using std::chrono::milliseconds;

// Tokens below 256 are bytes.
constexpr TokenId kSystem = 256;
constexpr TokenId kTurn = 257;
constexpr TokenId kAnswer = 258;
constexpr TokenId kEnd = 259;
constexpr TokenId kStamp = 260;   // becomes the time at which it is decoded
constexpr TokenId kCounts = 261;  // becomes the counts of engine calls so far
constexpr TokenId kFirstPiece = 1000;

// The last two values of every token's embedding row; nobody's soft prefix has them.
constexpr Bf16 kMarker[2] = {Bf16{0x4205}, Bf16{0xc29b}};  // 33.25, -77.5
constexpr int kMinHidden = 8;

// --- scripts ---

// Waits before step `at` of an answer until `file` is in the model's folder.
struct Gate {
  std::string file;
  int at = 0;
};

struct Rule {
  enum class Match { kAlways, kExact, kContains };
  enum class Kind { kPieces, kEcho, kDescription, kTranscript, kCallCounts, kStamps };

  Match match = Match::kAlways;
  std::string pattern;
  Kind kind = Kind::kPieces;
  std::vector<TokenId> pieces;  // kPieces
  int echo_bytes = 1;           // kEcho: bytes per piece
  int stamps = 0;               // kStamps
  int repeat = 1;               // kPieces: how often all of them
  milliseconds prefill_delay{0};
  milliseconds decode_delay{0};
  std::vector<Gate> gates;
  std::optional<std::string> fail_prefill;
  int fail_decode_at = -1;
  std::string fail_decode;

  bool matches(std::string_view user) const {
    switch (match) {
      case Match::kAlways:
        return true;
      case Match::kExact:
        return user == pattern;
      case Match::kContains:
        return user.find(pattern) != std::string_view::npos;
    }
    return false;
  }
};

struct Script {
  std::filesystem::path folder;
  int context = 256;
  int hidden = kMinHidden;
  runner::ModeParams mode_param;
  milliseconds load_delay{0};
  std::string load_gate;
  std::string load_error;
  bool out_of_memory = false;
  std::vector<Rule> rules;
  std::vector<std::string> pieces;  // bytes of token kFirstPiece + index

  // Ids of an echo's pieces, one per step, stand behind those of the script.
  TokenId first_echo() const { return kFirstPiece + static_cast<TokenId>(pieces.size()); }
  int vocab() const { return first_echo() + context; }

  // The first rule for a user's text; null if there is none.
  const Rule* find_rule(std::string_view user) const {
    const auto rule = std::find_if(rules.begin(), rules.end(),
                                   [&](const Rule& candidate) { return candidate.matches(user); });
    return rule == rules.end() ? nullptr : &*rule;
  }
};

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

// --- waiting ---

// False if stopped before the time was over.
bool wait_for(milliseconds time, const std::stop_token& stop) {
  if (time.count() == 0) return !stop.stop_requested();
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, time, [] { return false; });
  return !stop.stop_requested();
}

// Says that it waits by making the file NAME.reached. False if stopped.
bool wait_at_gate(const std::filesystem::path& folder, const std::string& file,
                  const std::stop_token& stop) {
  std::error_code error;
  std::ofstream(folder / (file + ".reached")).flush();
  while (!std::filesystem::exists(folder / file, error)) {
    if (!wait_for(milliseconds(1), stop)) return false;
  }
  return true;
}

// --- engine ---

// Calls of all engines of a model since the program began.
struct Counts {
  std::atomic<std::uint64_t> prefill_calls = 0;
  std::atomic<std::uint64_t> prefill_rows = 0;
  std::atomic<std::uint64_t> decode_calls = 0;

  std::string json() const {
    return "{\"prefill_calls\":" + std::to_string(prefill_calls) +
           ",\"prefill_rows\":" + std::to_string(prefill_rows) +
           ",\"decode_calls\":" + std::to_string(decode_calls) + "}";
  }
};

// CRC-32 as in zlib, of the rows' little-endian bytes.
class Crc32 {
 public:
  void add(Bf16 value) {
    add_byte(value.bits & 0xffU);
    add_byte(value.bits >> 8);
  }
  std::uint32_t value() const { return ~register_; }

 private:
  void add_byte(std::uint32_t byte) {
    register_ ^= byte;
    for (int bit = 0; bit < 8; ++bit) {
      register_ = (register_ >> 1) ^ ((register_ & 1U) != 0 ? 0xedb88320U : 0U);
    }
  }
  std::uint32_t register_ = 0xffffffffU;
};

class ScriptedCache : public runner::KvCache {
 public:
  static constexpr TokenId kSoft = -1;

  struct Row {
    TokenId id = kSoft;
    std::vector<Bf16> values;  // of a soft row
  };

  ScriptedCache(int capacity, int vocab) : capacity_(capacity), vocab_(vocab) {}

  int length() const override { return static_cast<int>(rows_.size()); }
  int capacity() const override { return capacity_; }
  void truncate(int length) override {
    rows_.resize(static_cast<std::size_t>(length));
    while (!answers_.empty() && answers_.back() >= length) answers_.pop_back();
  }

  void append(std::span<const Bf16> values) {
    Row row;
    row.id = token_of(values);
    if (row.id == kSoft) row.values.assign(values.begin(), values.end());
    if (row.id == kAnswer) answers_.push_back(length());
    rows_.push_back(std::move(row));
  }

  const std::vector<Row>& rows() const { return rows_; }

  // Where the last kAnswer row is; -1 if there is none.
  int last_answer() const { return answers_.empty() ? -1 : answers_.back(); }

  // The bytes of the turn that ends at `answer`.
  std::string user_text(int answer) const {
    int first = answer;
    while (first > 0 && is_byte(rows_[static_cast<std::size_t>(first) - 1].id)) --first;
    std::string text;
    for (int at = first; at < answer; ++at) {
      text += static_cast<char>(rows_[static_cast<std::size_t>(at)].id);
    }
    return text;
  }

  static bool is_byte(TokenId id) { return id >= 0 && id < 256; }

 private:
  // The token whose embedding this is.
  TokenId token_of(std::span<const Bf16> values) const {
    if (values[values.size() - 2] != kMarker[0] || values[values.size() - 1] != kMarker[1]) {
      return kSoft;
    }
    TokenId id = 0;
    for (std::size_t digit = 4; digit-- > 0;) {
      id = id * 256 + static_cast<TokenId>(to_float(values[digit]));
    }
    return id < vocab_ ? id : kSoft;
  }

  int capacity_;
  int vocab_;
  std::vector<Row> rows_;
  std::vector<int> answers_;  // positions of kAnswer rows
};

std::vector<Bf16> embed_vocabulary(const Script& script) {
  const auto hidden = static_cast<std::size_t>(script.hidden);
  std::vector<Bf16> values(static_cast<std::size_t>(script.vocab()) * hidden);
  for (int id = 0; id < script.vocab(); ++id) {
    Bf16* row = &values[static_cast<std::size_t>(id) * hidden];
    for (int digit = 0; digit < 4; ++digit) {
      row[digit] = runner::to_bf16(static_cast<float>((id >> (8 * digit)) & 0xff));
    }
    row[hidden - 2] = kMarker[0];
    row[hidden - 1] = kMarker[1];
  }
  return values;
}

// "rows=12 soft=1 crc=0a1b2c3d" of the rows before the answer.
std::string describe(const ScriptedCache& cache, int answer) {
  int soft = 0;
  Crc32 crc;
  for (int at = 0; at < answer; ++at) {
    const auto& row = cache.rows()[static_cast<std::size_t>(at)];
    if (row.id != ScriptedCache::kSoft) continue;
    ++soft;
    for (const Bf16 value : row.values) crc.add(value);
  }
  std::array<char, 9> hex{};
  std::snprintf(hex.data(), hex.size(), "%08x", static_cast<unsigned>(crc.value()));
  return "rows=" + std::to_string(answer + 1) + " soft=" + std::to_string(soft) +
         " crc=" + hex.data();
}

// "[soft][system]Be brief.[turn]Hello[answer]" of the rows before the answer.
std::string transcript(const Script& script, const ScriptedCache& cache, int answer) {
  std::string text;
  for (int at = 0; at <= answer; ++at) {
    const TokenId id = cache.rows()[static_cast<std::size_t>(at)].id;
    if (ScriptedCache::is_byte(id)) {
      text += static_cast<char>(id);
    } else if (id >= kFirstPiece && id < script.first_echo()) {
      text += script.pieces[static_cast<std::size_t>(id - kFirstPiece)];
    } else {
      text += id == ScriptedCache::kSoft ? "[soft]"
              : id == kSystem            ? "[system]"
              : id == kTurn              ? "[turn]"
              : id == kAnswer            ? "[answer]"
              : id == kStamp             ? "[stamp]"
              : id == kCounts            ? "[counts]"
                                         : "[echo]";
    }
  }
  return text;
}

class ScriptedEngine : public runner::Engine {
 public:
  ScriptedEngine(std::shared_ptr<const Script> script, const runner::ModelShape& shape,
                 std::shared_ptr<Counts> counts)
      : script_(std::move(script)), shape_(shape), counts_(std::move(counts)) {}

  const runner::ModelShape& shape() const override { return shape_; }

  std::unique_ptr<runner::KvCache> new_cache() const override {
    return std::make_unique<ScriptedCache>(shape_.context, shape_.vocab);
  }

  runner::Logits prefill(runner::EmbeddingView rows, runner::KvCache& cache,
                         std::stop_token stop) override {
    ++counts_->prefill_calls;
    counts_->prefill_rows += static_cast<std::uint64_t>(rows.rows());
    return run(rows, cache, stop);
  }

  runner::Logits decode(runner::EmbeddingView row, runner::KvCache& cache) override {
    ++counts_->decode_calls;
    return run(row, cache, {});
  }

 private:
  runner::Logits run(runner::EmbeddingView rows, runner::KvCache& any_cache,
                     const std::stop_token& stop) {
    auto& cache = static_cast<ScriptedCache&>(any_cache);
    const int before = cache.length();
    if (rows.rows() > cache.capacity() - before) {
      throw Error(ErrorCode::kPromptTooLong,
                  std::to_string(before) + " rows and " + std::to_string(rows.rows()) +
                      " more do not fit a cache of " + std::to_string(cache.capacity()));
    }
    if (stop.stop_requested()) return {};
    for (int row = 0; row < rows.rows(); ++row) cache.append(rows.row(row));

    next_ = {kEnd, 1.0F};
    const int answer = cache.last_answer();
    if (answer >= 0) {
      const std::string user = cache.user_text(answer);
      if (const Rule* rule = script_->find_rule(user)) {
        const int step = cache.length() - 1 - answer;
        if (!act(*rule, step, stop)) {
          cache.truncate(before);
          return {};
        }
        next_.id = token(*rule, step, user, cache);
      }
    }
    return std::span<const runner::ScoredToken>(&next_, 1);
  }

  // Waits and fails as the rule has it for a step; 0 is the prompt, n the nth decode. False if
  // stopped.
  bool act(const Rule& rule, int step, const std::stop_token& stop) const {
    if (!wait_for(step == 0 ? rule.prefill_delay : rule.decode_delay, stop)) return false;
    for (const Gate& gate : rule.gates) {
      if (gate.at == step && !wait_at_gate(script_->folder, gate.file, stop)) return false;
    }
    if (step == 0 && rule.fail_prefill) throw Error(ErrorCode::kEngineFailed, *rule.fail_prefill);
    if (step > 0 && step == rule.fail_decode_at) {
      throw Error(ErrorCode::kEngineFailed, rule.fail_decode);
    }
    return true;
  }

  // The token that follows at a step of the answer to `user`.
  TokenId token(const Rule& rule, int step, std::string_view user,
                const ScriptedCache& cache) const {
    const auto index = static_cast<std::size_t>(step);
    switch (rule.kind) {
      case Rule::Kind::kPieces: {
        const auto steps = rule.pieces.size() * static_cast<std::size_t>(rule.repeat);
        return index < steps ? rule.pieces[index % rule.pieces.size()] : kEnd;
      }
      case Rule::Kind::kEcho: {
        const auto bytes = static_cast<std::size_t>(rule.echo_bytes);
        return index * bytes < user.size() ? script_->first_echo() + step : kEnd;
      }
      case Rule::Kind::kDescription:
        return byte_of(describe(cache, cache.last_answer()), index);
      case Rule::Kind::kTranscript:
        return byte_of(transcript(*script_, cache, cache.last_answer()), index);
      case Rule::Kind::kCallCounts:
        return step == 0 ? kCounts : kEnd;
      case Rule::Kind::kStamps:
        return step < rule.stamps ? kStamp : kEnd;
    }
    return kEnd;
  }

  static TokenId byte_of(const std::string& text, std::size_t index) {
    return index < text.size() ? static_cast<unsigned char>(text[index]) : kEnd;
  }

  std::shared_ptr<const Script> script_;
  runner::ModelShape shape_;
  std::shared_ptr<Counts> counts_;
  runner::ScoredToken next_;
};

// --- encoder ---

// How many bytes at the front of `bytes` belong to one code point, or to one U+FFFD when `valid`
// is set to false; 0 when more bytes are needed to tell.
std::size_t first_code_point(std::string_view bytes, bool& valid) {
  const auto at = [&](std::size_t index) { return static_cast<unsigned char>(bytes[index]); };
  const unsigned lead = at(0);
  valid = true;
  if (lead < 0x80) return 1;
  const std::size_t length = lead < 0xc2   ? 0
                             : lead < 0xe0 ? 2
                             : lead < 0xf0 ? 3
                             : lead < 0xf5 ? 4
                                           : 0;
  unsigned least = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  unsigned most = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  for (std::size_t index = 1; index < length; ++index) {
    if (index == bytes.size()) return 0;
    if (at(index) < least || at(index) > most) {
      valid = false;
      return index;
    }
    least = 0x80;
    most = 0xbf;
  }
  valid = length != 0;
  return valid ? length : 1;
}

class ScriptedDecoder : public runner::Decoder {
 public:
  ScriptedDecoder(std::shared_ptr<const Script> script, std::shared_ptr<const Counts> counts,
                  std::string user)
      : script_(std::move(script)), counts_(std::move(counts)), user_(std::move(user)) {}

  std::string push(TokenId token) override {
    pending_ += bytes_of(token);
    std::string text;
    std::size_t done = 0;
    while (done < pending_.size()) {
      bool valid = true;
      const std::string_view rest = std::string_view(pending_).substr(done);
      const std::size_t length = first_code_point(rest, valid);
      if (length == 0) break;
      text += valid ? rest.substr(0, length) : std::string_view("\xef\xbf\xbd");
      done += length;
    }
    pending_.erase(0, done);
    return text;
  }

 private:
  std::string bytes_of(TokenId token) const {
    if (ScriptedCache::is_byte(token)) return {static_cast<char>(token)};
    if (token == kCounts) return counts_->json();
    if (token == kStamp) {
      timespec now{};
      clock_gettime(CLOCK_MONOTONIC, &now);
      return std::to_string(now.tv_sec * 1'000'000'000LL + now.tv_nsec) + " ";
    }
    if (token < kFirstPiece) return {};
    if (token < script_->first_echo()) {
      return script_->pieces[static_cast<std::size_t>(token - kFirstPiece)];
    }
    const Rule* rule = script_->find_rule(user_);
    const auto bytes = static_cast<std::size_t>(rule == nullptr ? 1 : rule->echo_bytes);
    const std::size_t first = static_cast<std::size_t>(token - script_->first_echo()) * bytes;
    return first < user_.size() ? user_.substr(first, bytes) : std::string();
  }

  std::shared_ptr<const Script> script_;
  std::shared_ptr<const Counts> counts_;
  std::string user_;
  std::string pending_;  // bytes of an unfinished code point
};

class ScriptedEncoder : public runner::PromptEncoder {
 public:
  ScriptedEncoder(std::shared_ptr<const Script> script, std::shared_ptr<const Counts> counts)
      : script_(std::move(script)), counts_(std::move(counts)) {}

  std::vector<TokenId> begin(std::string_view system) override {
    std::vector<TokenId> ids;
    if (system.empty()) return ids;
    ids.push_back(kSystem);
    append_bytes(ids, system);
    return ids;
  }

  std::vector<TokenId> encode_turn(std::string_view user, std::string_view) override {
    user_ = user;
    std::vector<TokenId> ids = {kTurn};
    append_bytes(ids, user);
    ids.push_back(kAnswer);
    return ids;
  }

  bool is_stop(TokenId token) const override { return token == kEnd; }

  std::unique_ptr<runner::Decoder> new_decoder() const override {
    return std::make_unique<ScriptedDecoder>(script_, counts_, user_);
  }

 private:
  static void append_bytes(std::vector<TokenId>& ids, std::string_view text) {
    for (const char byte : text) ids.push_back(static_cast<unsigned char>(byte));
  }

  std::shared_ptr<const Script> script_;
  std::shared_ptr<const Counts> counts_;
  std::string user_;  // of the turn encoded last: an echo's tokens point into it
};

// --- loader ---

class ScriptedLoader : public ModelLoader {
 public:
  explicit ScriptedLoader(const ModelOptions& options) : options_(options) {}

  std::shared_ptr<const runner::Model> load(const std::string& name, bool allow_path,
                                            const std::function<void(double)>& progress) override {
    const std::lock_guard lock(mutex_);
    const std::filesystem::path folder = find_folder(name, allow_path);
    std::weak_ptr<const runner::Model>& known = models_[folder.string()];
    if (auto model = known.lock()) return model;
    auto& counts = counts_[folder.string()];
    if (!counts) counts = std::make_shared<Counts>();
    if (progress) progress(0);
    const auto model = make_model(name, read_limited(folder), counts);
    if (progress) progress(1);
    known = model;
    return model;
  }

  std::vector<ModelListing> list() override {
    std::vector<ModelListing> models;
    for (const auto& root : options_.roots) {
      std::error_code error;
      for (const auto& entry : std::filesystem::directory_iterator(root, error)) {
        if (!std::filesystem::exists(entry.path() / "script.json", error)) continue;
        const std::string name = entry.path().filename().string();
        models.push_back({name, "{\"mode\":" + protocol::json_string(name) +
                                    ",\"type\":\"llm\",\"capabilities\":[\"text_generation\"],"
                                    "\"input_type\":[\"llm.utf-8\",\"llm.utf-8.stream\"],"
                                    "\"output_type\":[\"llm.utf-8\",\"llm.utf-8.stream\"]}"});
      }
    }
    return models;
  }

  std::string inspect(const std::string& name) override {
    const std::filesystem::path folder = find_folder(name, true);
    const Script script = read_limited(folder);
    return "{\"path\":" + protocol::json_string(folder.string()) +
           ",\"engine\":\"scripted\",\"hidden_size\":" + std::to_string(script.hidden) +
           ",\"num_layers\":1,\"vocab_size\":" + std::to_string(script.vocab()) +
           ",\"context_length\":" + std::to_string(script.context) + "}";
  }

 private:
  std::filesystem::path find_folder(const std::string& name, bool allow_path) const {
    std::string looked;
    std::error_code error;
    const bool plain = !name.empty() && name != "." && name != ".." &&
                       name.find('/') == std::string::npos && name.find('\0') == std::string::npos;
    if (plain) {
      for (const auto& root : options_.roots) {
        if (std::filesystem::exists(root / name / "script.json", error)) return root / name;
        looked += (looked.empty() ? "" : ", ") + (root / name / "script.json").string();
      }
    }
    if (allow_path && std::filesystem::exists(std::filesystem::path(name) / "script.json", error)) {
      return name;
    }
    throw Error(ErrorCode::kNotFound, "model \"" + name + "\" not found" +
                                          (plain ? "; looked in " + looked : ": not a model name"));
  }

  Script read_limited(const std::filesystem::path& folder) const {
    Script script = read_script(folder);
    script.context = std::min(script.context, options_.context);
    return script;
  }

  static std::shared_ptr<const runner::Model> make_model(const std::string& name, Script loaded,
                                                         const std::shared_ptr<Counts>& counts) {
    const auto script = std::make_shared<const Script>(std::move(loaded));
    wait_for(script->load_delay, {});
    if (!script->load_gate.empty()) wait_at_gate(script->folder, script->load_gate, {});
    if (!script->load_error.empty()) throw Error(ErrorCode::kBadModel, script->load_error);
    if (script->out_of_memory) {
      throw Error(ErrorCode::kOutOfMemory, "model \"" + name + "\" does not fit the memory");
    }
    const auto values = std::make_shared<const std::vector<Bf16>>(embed_vocabulary(*script));
    const runner::ModelShape shape{1, script->hidden, script->vocab(), script->context};

    auto model = std::make_shared<runner::Model>();
    model->name = name;
    model->path = script->folder.string();
    model->engine = "scripted";
    model->shape = shape;
    model->mode_param = script->mode_param;
    model->embeddings =
        std::make_shared<const runner::EmbeddingTable>(values, *values, script->hidden);
    model->new_engine = [script, shape, counts] {
      return std::make_unique<ScriptedEngine>(script, shape, counts);
    };
    model->new_prompt_encoder = [script, counts](std::string_view) {
      return std::make_unique<ScriptedEncoder>(script, counts);
    };
    return model;
  }

  const ModelOptions options_;
  std::mutex mutex_;  // one load at a time; guards the maps, both by folder
  std::map<std::string, std::weak_ptr<const runner::Model>> models_;
  std::map<std::string, std::shared_ptr<Counts>> counts_;
};

}  // namespace

std::unique_ptr<ModelLoader> make_model_loader(const ModelOptions& options) {
  return std::make_unique<ScriptedLoader>(options);
}

}  // namespace main_llm
