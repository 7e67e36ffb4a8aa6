#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "main_llm/child_process.h"
#include "protocol/http_client.h"
#include "protocol/json_reader.h"

namespace main_llm {

// The ports that services of this process listen on, so that none is taken for one that was there
// before, or for another task's. Any thread.
class TokenizerPorts {
 public:
  // The first of StackFlow's ports, 8080 to 8089, that nobody listens on; it counts as ours until
  // release(). Throws runner::Error(kEngineFailed) when all are taken.
  std::uint16_t take();
  void release(std::uint16_t port);
  bool is_ours(std::uint16_t port);

 private:
  std::mutex mutex_;
  std::set<std::uint16_t> ours_;
};

// What a model says about the tokenizer service it needs.
struct TokenizerServiceOptions {
  std::string model;                        // its name, which its script is found by
  std::filesystem::path directory;          // its folder
  std::string url;                          // of its mode json; may be empty
  std::filesystem::path root = "/";         // in front of /opt/m5stack
  std::shared_ptr<TokenizerPorts> ports{};  // needed to start one
};

// The service that a model with a tokenizer_type needs: type 2 without tokenizer/tokenizer.json.
std::optional<TokenizerServiceOptions> needed_tokenizer_service(
    const std::string& model, const std::filesystem::path& directory, int tokenizer_type,
    const std::string& url, const std::filesystem::path& root);

// A tokenizer as StackFlow's models of tokenizer_type 2 bring it: a Python script that answers
// HTTP. Where a service that is not ours answers at the URL it is used as it is; else the model's
// script is started (/opt/m5stack/scripts/MODEL_tokenizer.py or tokenizer_MODEL.py, with the
// arguments that StackFlow's llm unit gives it) and asked until it answers or has ended. The
// script ends with this object, or with this process however that ends.
//
// Not thread-safe. All of it throws runner::Error: kNotFound when there is neither a service nor a
// script, kEngineFailed for what goes wrong with them, with the end of a dead script's output.
class TokenizerService {
 public:
  static constexpr std::chrono::seconds kStartDeadline{60};  // Python with transformers is slow
  static constexpr std::chrono::seconds kCallDeadline{30};   // a new conversation loads it again
  static constexpr std::chrono::seconds kProbeDeadline{2};   // of what stands at the URL

  // `content`: the system prompt, which the scripts put in front of each prompt.
  TokenizerService(TokenizerServiceOptions options, const std::string& content);
  ~TokenizerService();

  TokenizerService(const TokenizerService&) = delete;
  TokenizerService& operator=(const TokenizerService&) = delete;

  // The answer to a call, which is a JSON object.
  protocol::JsonDocument get(const std::string& target);
  protocol::JsonDocument post(const std::string& target, std::string json);

  // "http://localhost:8080", for messages.
  std::string url() const { return server_.url(); }

 private:
  void start(const std::filesystem::path& script, const std::string& content);
  template <typename Call>
  protocol::JsonDocument ask(const std::string& target, const Call& call);

  const TokenizerServiceOptions options_;
  protocol::HttpServer server_;
  bool has_port_ = false;  // server_.port is taken from options_.ports
  std::optional<ChildProcess> child_;
};

// How a model gets its tokenizer, for people: where its service answers, or the script that would
// be started. Throws as the service would where it has neither.
std::string describe_tokenizer_service(const TokenizerServiceOptions& options);

}  // namespace main_llm
