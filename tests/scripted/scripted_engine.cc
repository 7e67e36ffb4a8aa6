#include "tests/scripted/scripted_engine.h"

#include <array>
#include <condition_variable>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "runner/error.h"

namespace scripted {
namespace {

using runner::Bf16;
using runner::Error;
using runner::ErrorCode;

// The last two values of every token's embedding row; nobody's soft prefix has them.
constexpr Bf16 kMarker[2] = {Bf16{0x4205}, Bf16{0xc29b}};  // 33.25, -77.5

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
    if (is_byte(id)) {
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

  bool append(runner::EmbeddingView rows, runner::KvCache& cache, std::stop_token stop) override {
    return runner::has_value(prefill(rows, cache, std::move(stop)));
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

}  // namespace

bool wait_for(milliseconds time, const std::stop_token& stop) {
  if (time.count() == 0) return !stop.stop_requested();
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, time, [] { return false; });
  return !stop.stop_requested();
}

bool wait_at_gate(const std::filesystem::path& folder, const std::string& file,
                  const std::stop_token& stop) {
  std::error_code error;
  std::ofstream(folder / (file + ".reached")).flush();
  while (!std::filesystem::exists(folder / file, error)) {
    if (!wait_for(milliseconds(1), stop)) return false;
  }
  return true;
}

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

std::unique_ptr<runner::Engine> make_scripted_engine(std::shared_ptr<const Script> script,
                                                     const runner::ModelShape& shape,
                                                     std::shared_ptr<Counts> counts) {
  return std::make_unique<ScriptedEngine>(std::move(script), shape, std::move(counts));
}

}  // namespace scripted
