#include "main_llm/http_prompt_encoder.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/json_writer.h"
#include "runner/error.h"
#include "runner/excerpt.h"
#include "runner/text/utf8_stream.h"

namespace main_llm {
namespace {

using runner::TokenId;
using simdjson::dom::element;

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD
// Ids that may wait for a character to become whole. It has four bytes at most; but where ids and
// characters begin in turns, several complete one and begin the next.
constexpr std::size_t kMostPlainHeld = 16;
// Of what a context service keeps back only whole texts come out, so few must do: those of one
// character.
constexpr std::size_t kMostContextHeld = 4;

std::string json_text(std::string_view text) {
  return protocol::json_string(runner::to_valid_utf8(text));
}

std::string json_ids(const std::vector<TokenId>& ids) {
  std::string json = "[";
  for (const TokenId id : ids) json += (json.size() > 1 ? "," : "") + std::to_string(id);
  return json + "]";
}

// A running service with what it was asked at its start. Shared by an encoder and its decoders.
class Connection {
 public:
  Connection(const HttpPromptEncoderOptions& options, const std::string& content)
      : service(options.service, content), vocab_(options.vocab) {
    if (options.keeps_conversation) uid = new_uid();
    decode_uid = uid;
    const std::string query = uid.empty() ? "" : "?uid=" + uid;
    bos = read_id(service.get("/bos_id" + query), "/bos_id", "bos_id");
    eos = read_id(service.get("/eos_id" + query), "/eos_id", "eos_id");
  }

  std::string new_uid() {
    has_failed = true;  // until the answer is read
    const std::string target = "/get_uid";
    const protocol::JsonDocument answer = service.get(target);
    const std::string text(get<std::string_view>(answer, target, "uid", "a string"));
    // It goes into URLs as it is.
    const bool is_plain = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
             c == '-' || c == '_';
    });
    if (!is_plain) fail(target, "\"uid\" is \"" + runner::excerpt(text) + "\", which is no uid");
    has_failed = false;
    return text;
  }

  std::vector<TokenId> post_for_ids(const std::string& target, std::string json,
                                    std::vector<TokenId>* diff = nullptr) {
    has_failed = true;
    const protocol::JsonDocument answer = service.post(target, std::move(json));
    if (diff != nullptr) *diff = read_ids(answer, target, "diff");
    std::vector<TokenId> ids = read_ids(answer, target, "token_ids");
    has_failed = false;
    return ids;
  }

  std::string decode(const std::vector<TokenId>& ids) {
    has_failed = true;
    const std::string target = "/decode";
    const protocol::JsonDocument answer = service.post(
        target, "{\"token_ids\":" + json_ids(ids) + ",\"uid\":" + json_text(decode_uid) + "}");
    std::string text(get<std::string_view>(answer, target, "text", "a string"));
    has_failed = false;
    return text;
  }

  TokenizerService service;
  bool has_failed = false;  // a call did: the service is not to be used again
  std::string uid;          // of the conversation; empty in the plain dialect
  std::string decode_uid;   // of answers: the same until it has kept something back
  bool decode_uid_is_spoiled = false;
  TokenId bos = -1;  // -1: none
  TokenId eos = -1;

 private:
  [[noreturn]] void fail(const std::string& target, const std::string& what) const {
    throw runner::Error(runner::ErrorCode::kEngineFailed,
                        "tokenizer service: " + service.url() + target + ": " + what);
  }

  template <typename Value>
  Value get(const protocol::JsonDocument& answer, const std::string& target, const char* key,
            const char* expected) const {
    const simdjson::dom::object object = answer.root();
    const auto value = protocol::find_member(object, key);
    Value result;
    if (value && !value->get(result)) return result;
    std::string_view said;
    const auto error = protocol::find_member(object, "error");
    if (error && !error->get(said)) fail(target, "it says \"" + runner::excerpt(said) + "\"");
    fail(target, "\"" + std::string(key) + "\" is " +
                     (value ? protocol::describe(*value) : std::string("missing")) + ", expected " +
                     expected);
  }

  TokenId read_id(const protocol::JsonDocument& answer, const std::string& target,
                  const char* key) const {
    const auto id = get<std::int64_t>(answer, target, key, "a number");
    if (id < -1 || id >= vocab_) {
      fail(target, "\"" + std::string(key) + "\" is " + std::to_string(id) +
                       ", expected -1 or an id below " + std::to_string(vocab_));
    }
    return static_cast<TokenId>(id);
  }

  std::vector<TokenId> read_ids(const protocol::JsonDocument& answer, const std::string& target,
                                const char* key) const {
    std::vector<TokenId> ids;
    for (const element entry : get<simdjson::dom::array>(answer, target, key, "a list of ids")) {
      std::int64_t id = 0;
      if (entry.get(id) || id < 0 || id >= vocab_) {
        fail(target, "\"" + std::string(key) + "\" holds " + protocol::describe(entry) +
                         ", expected ids from 0 to " + std::to_string(vocab_ - 1));
      }
      ids.push_back(static_cast<TokenId>(id));
    }
    return ids;
  }

  const int vocab_;
};

class PlainDecoder : public runner::Decoder {
 public:
  explicit PlainDecoder(std::shared_ptr<Connection> connection)
      : connection_(std::move(connection)) {}

  std::string push(TokenId token) override {
    held_.push_back(token);
    std::string text = connection_->decode(held_);
    if (text.ends_with(kReplacement) && held_.size() < kMostPlainHeld) return "";
    held_.clear();
    return text;
  }

 private:
  std::shared_ptr<Connection> connection_;
  std::vector<TokenId> held_;
};

class ContextDecoder : public runner::Decoder {
 public:
  explicit ContextDecoder(std::shared_ptr<Connection> connection)
      : connection_(std::move(connection)) {
    if (!connection_->decode_uid_is_spoiled) return;
    renew_uid();
    connection_->decode_uid_is_spoiled = false;
  }
  ~ContextDecoder() override {
    if (!held_.empty()) connection_->decode_uid_is_spoiled = true;
  }

  std::string push(TokenId token) override {
    held_.push_back(token);
    std::string text = connection_->decode({token});
    if (!text.empty()) {
      held_.clear();
      return text;
    }
    // A token without text is not told from one that is kept back.
    if (held_.size() == kMostContextHeld) {
      // The first will never be whole, and nothing behind it comes out any more.
      text += kReplacement;
      held_.erase(held_.begin());
      renew_uid();
      const std::string rest = connection_->decode(held_);
      text += rest;
      if (!rest.empty()) held_.clear();
    }
    return text;
  }

 private:
  void renew_uid() { connection_->decode_uid = connection_->new_uid(); }

  std::shared_ptr<Connection> connection_;
  std::vector<TokenId> held_;  // by the service
};

class HttpPromptEncoder : public runner::PromptEncoder {
 public:
  HttpPromptEncoder(HttpPromptEncoderOptions options, const runner::PromptOptions& prompt)
      : options_(std::move(options)), adds_bos_(prompt.adds_bos), system_(prompt.system) {
    connect();
  }

  // In the plain dialect nothing; what the service was started with comes with each turn.
  std::vector<TokenId> begin(std::string_view system) override {
    system_ = system;
    if (!options_.keeps_conversation) return {};
    connect();
    std::vector<TokenId> head = tell_system();
    kept_.clear();
    return head;
  }

  std::vector<TokenId> encode_turn(std::string_view user, std::string_view last_reply) override {
    if (!options_.keeps_conversation && !last_reply.empty()) {
      throw runner::Error(runner::ErrorCode::kBadOption,
                          "the model's tokenizer service keeps no conversation; precompute_len "
                          "must be 0");
    }
    connect();
    return options_.keeps_conversation ? encode_next(user, last_reply) : encode_alone(user);
  }

  // The service writes down what was said, here it is only noted, for one that is started anew.
  std::optional<std::vector<TokenId>> past_turn(std::string_view user, std::string_view /*last*/,
                                                std::string_view reply) override {
    kept_.push_back({std::string(user), std::string(reply)});
    knows_kept_ = true;
    return std::nullopt;
  }

  bool is_stop(TokenId token) const override { return token == eos_; }

  std::unique_ptr<runner::Decoder> new_decoder() const override {
    if (options_.keeps_conversation) return std::make_unique<ContextDecoder>(connection_);
    return std::make_unique<PlainDecoder>(connection_);
  }

 private:
  struct Turn {
    std::string user;
    std::string reply;
  };

  // To a service that did not fail before.
  void connect() {
    if (connection_ && !connection_->has_failed) return;
    connection_.reset();  // ends the old one before its port is asked for
    auto connection = std::make_shared<Connection>(options_, system_);
    if (adds_bos_ && connection->bos < 0) {
      throw runner::Error(
          runner::ErrorCode::kBadOption,
          "b_bos is true, but the service at " + connection->service.url() + " has no such token");
    }
    eos_ = connection->eos;
    knows_kept_ = false;
    connection_ = std::move(connection);
  }

  std::vector<TokenId> encode_alone(std::string_view user) {
    auto ids = connection_->post_for_ids("/encode",
                                         "{\"text\":" + json_text(user) + ",\"img_prompt\":false}");
    if (adds_bos_) ids.insert(ids.begin(), connection_->bos);
    if (options_.adds_eos && connection_->eos >= 0) ids.push_back(connection_->eos);
    return ids;
  }

  std::vector<TokenId> tell_system() {
    std::string json = "{\"uid\":" + json_text(connection_->uid);
    if (!system_.empty()) json += ",\"system_prompt\":" + json_text(system_);
    auto head = connection_->post_for_ids("/reset", json + "}");
    knows_kept_ = true;
    return head;
  }

  std::vector<TokenId> encode_next(std::string_view user, std::string_view last_reply) {
    if (!knows_kept_) {  // it heard of a turn without an answer, or is a new one
      tell_system();
      std::string_view reply;
      for (const Turn& turn : kept_) {
        tell_turn(turn.user, reply);
        reply = turn.reply;
      }
    }
    knows_kept_ = false;  // until past_turn() says that this turn is kept
    return tell_turn(user, last_reply);
  }

  // The ids behind the answer before, what closes that included. The service's `diff` leaves that
  // out: it counts the end of the answer to what was said before.
  std::vector<TokenId> tell_turn(std::string_view user, std::string_view last_reply) {
    std::string json = "{\"uid\":" + json_text(connection_->uid) + ",\"text\":" + json_text(user);
    if (!last_reply.empty()) json += ",\"last_reply\":" + json_text(last_reply);
    std::vector<TokenId> diff;
    const auto all = connection_->post_for_ids("/encode", json + ",\"img_prompt\":false}", &diff);
    // It decodes what it encodes, to print it.
    if (runner::to_valid_utf8(user).find(kReplacement) != std::string::npos) {
      connection_->decode_uid_is_spoiled = true;
    }
    if (last_reply.empty() || diff.size() > all.size()) return diff;
    const auto begin = all.end() - static_cast<std::ptrdiff_t>(diff.size());
    const auto close = std::find(std::make_reverse_iterator(begin), all.rend(), connection_->eos);
    if (close == all.rend()) return diff;
    return {close.base() - 1, all.end()};
  }

  const HttpPromptEncoderOptions options_;
  const bool adds_bos_;
  std::string system_;
  std::shared_ptr<Connection> connection_;
  TokenId eos_ = -1;
  std::vector<Turn> kept_;   // turns with their answers, in the dialect of context models
  bool knows_kept_ = false;  // the service was told exactly these
};

}  // namespace

std::unique_ptr<runner::PromptEncoder> make_http_prompt_encoder(
    HttpPromptEncoderOptions options, const runner::PromptOptions& prompt) {
  const auto refuse = [](const std::string& setting) {
    throw runner::Error(runner::ErrorCode::kBadOption,
                        setting +
                            " is set, but the model's tokenizer service writes the chat "
                            "template itself");
  };
  if (prompt.template_family) refuse("chat_template_family");
  if (prompt.enable_thinking) refuse("enable_thinking");
  if (prompt.adds_bos && options.keeps_conversation) refuse("b_bos");
  return std::make_unique<HttpPromptEncoder>(std::move(options), prompt);
}

}  // namespace main_llm
