#include "tests/scripted/scripted_encoder.h"

#include <time.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runner/text/utf8_stream.h"

namespace scripted {
namespace {

class ScriptedDecoder : public runner::Decoder {
 public:
  ScriptedDecoder(std::shared_ptr<const Script> script, std::shared_ptr<const Counts> counts,
                  std::string user)
      : script_(std::move(script)), counts_(std::move(counts)), user_(std::move(user)) {}

  std::string push(TokenId token) override {
    std::string text;
    stream_.push(bytes_of(token), text);
    return text;
  }

 private:
  std::string bytes_of(TokenId token) const {
    if (is_byte(token)) return {static_cast<char>(token)};
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
  runner::Utf8Stream stream_;
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

}  // namespace

std::unique_ptr<runner::PromptEncoder> make_scripted_encoder(std::shared_ptr<const Script> script,
                                                             std::shared_ptr<const Counts> counts) {
  return std::make_unique<ScriptedEncoder>(std::move(script), std::move(counts));
}

}  // namespace scripted
