#include "main_llm/tokenizer_service.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <system_error>
#include <utility>

#include "protocol/error.h"
#include "protocol/log.h"
#include "runner/error.h"

namespace main_llm {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using std::chrono::duration_cast;
using std::chrono::milliseconds;

constexpr std::uint16_t kFirstPort = 8080;
constexpr std::uint16_t kLastPort = 8089;
constexpr milliseconds kBetweenProbes{50};
constexpr milliseconds kDeathWatch{
    1000};  // a dying script closes its connections before it is dead

[[noreturn]] void fail_service(const std::string& what) {
  throw runner::Error(runner::ErrorCode::kEngineFailed, what);
}

// Whether a server could listen there, as Python's would: http.server sets SO_REUSEADDR.
bool is_free(std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool is_bound = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  close(fd);
  return is_bound;
}

fs::path below(const fs::path& root, const char* path) { return root / fs::path(path); }

// The places of a model's script; the first that is there is taken.
std::vector<fs::path> script_places(const TokenizerServiceOptions& options) {
  const fs::path scripts = below(options.root, "opt/m5stack/scripts");
  return {scripts / (options.model + "_tokenizer.py"),
          scripts / ("tokenizer_" + options.model + ".py")};
}

fs::path find_script(const TokenizerServiceOptions& options) {
  const auto places = script_places(options);
  std::error_code error;
  for (const fs::path& place : places) {
    if (fs::is_regular_file(place, error)) return place;
  }
  throw runner::Error(runner::ErrorCode::kNotFound,
                      (options.directory / "tokenizer" / "tokenizer.json").string() +
                          " is missing, no tokenizer service answers at \"" + options.url +
                          "\", and neither " + places[0].string() + " nor " + places[1].string() +
                          " is there to start one");
}

bool is_this_machine(const std::string& host) {
  return host == "localhost" || host.starts_with("127.") || host == "0.0.0.0";
}

// Whether anything answers a question that all these services know.
bool answers(const protocol::HttpServer& server, milliseconds deadline) {
  try {
    protocol::http_get(server, "/bos_id", {deadline});
    return true;
  } catch (const protocol::Error&) {
    return false;
  }
}

// The service that runs already, if there is one. One of another task of ours was started for that
// task's system prompt and ends with it.
std::optional<protocol::HttpServer> find_running(const TokenizerServiceOptions& options) {
  if (options.url.empty()) return std::nullopt;
  protocol::HttpServer server;
  try {
    server = protocol::parse_http_url(options.url);
  } catch (const protocol::Error& error) {
    throw runner::Error(runner::ErrorCode::kBadModel,
                        options.directory.string() + ": the tokenizer is " + error.what());
  }
  const bool is_ours =
      options.ports && is_this_machine(server.host) && options.ports->is_ours(server.port);
  if (is_ours || !answers(server, TokenizerService::kProbeDeadline)) return std::nullopt;
  return server;
}

}  // namespace

std::uint16_t TokenizerPorts::take() {
  const std::lock_guard lock(mutex_);
  for (std::uint16_t port = kFirstPort; port <= kLastPort; ++port) {
    if (ours_.count(port) == 0 && is_free(port)) {
      ours_.insert(port);
      return port;
    }
  }
  fail_service("the ports for tokenizer services, " + std::to_string(kFirstPort) + " to " +
               std::to_string(kLastPort) + ", are all taken");
}

void TokenizerPorts::release(std::uint16_t port) {
  const std::lock_guard lock(mutex_);
  ours_.erase(port);
}

bool TokenizerPorts::is_ours(std::uint16_t port) {
  const std::lock_guard lock(mutex_);
  return ours_.count(port) > 0;
}

TokenizerService::TokenizerService(TokenizerServiceOptions options, const std::string& content)
    : options_(std::move(options)) {
  if (auto running = find_running(options_)) {
    server_ = *std::move(running);
    protocol::log_info("model ", options_.model, ": the tokenizer service at ", url(),
                       " was there already");
    return;
  }
  const fs::path script = find_script(options_);
  server_ = {"localhost", options_.ports->take()};
  try {
    start(script, content);
  } catch (...) {
    child_.reset();
    options_.ports->release(server_.port);
    throw;
  }
  has_port_ = true;
}

TokenizerService::~TokenizerService() {
  child_.reset();
  if (has_port_) options_.ports->release(server_.port);
}

void TokenizerService::start(const fs::path& script, const std::string& content) {
  const fs::path packages = below(options_.root, "opt/m5stack/lib/llm/site-packages");
  child_.emplace(
      std::vector<std::string>{"/usr/bin/python3", script.string(), "--host", "localhost", "--port",
                               std::to_string(server_.port), "--model_id",
                               (options_.directory / "tokenizer").string(), "--content", content},
      // Unbuffered, so that the last output is there when the script dies.
      std::vector<std::string>{"PYTHONPATH=" + packages.string(), "PYTHONUNBUFFERED=1"});
  const auto begin = Clock::now();
  const auto end = begin + kStartDeadline;
  for (;;) {
    const auto left = duration_cast<milliseconds>(end - Clock::now());
    if (left.count() <= 0) {
      fail_service("the tokenizer service " + script.string() + " does not answer at " + url() +
                   " within " + std::to_string(kStartDeadline.count()) + " s");
    }
    const bool has_answered = answers(server_, left);
    // Who answers in its place is not it.
    if (child_->wait_end(has_answered ? milliseconds(0) : kBetweenProbes)) {
      fail_service("the tokenizer service " + script.string() +
                   " died at its start: " + child_->story());
    }
    if (has_answered) break;
  }
  child_->forget_stdout();  // the scripts print users' texts
  protocol::log_info("model ", options_.model, ": ", script.string(), " answers at ", url(),
                     " after ", duration_cast<milliseconds>(Clock::now() - begin).count(), " ms");
}

template <typename Call>
protocol::JsonDocument TokenizerService::ask(const std::string& target, const Call& call) {
  std::string what;
  try {
    protocol::JsonDocument answer(call());
    if (answer.ok() && answer.root().is_object()) return answer;
    what = url() + target + ": the answer is not a JSON object" +
           (answer.ok() ? "" : ": " + answer.error());
  } catch (const protocol::Error& error) {
    what = error.what();
  }
  // Without Content-Length an answer cut off by its death looks like any other.
  if (child_ && child_->wait_end(kDeathWatch)) {
    fail_service("the tokenizer service died (" + what + "): " + child_->story());
  }
  fail_service("tokenizer service: " + what);
}

protocol::JsonDocument TokenizerService::get(const std::string& target) {
  return ask(target, [&] { return protocol::http_get(server_, target, {kCallDeadline}); });
}

protocol::JsonDocument TokenizerService::post(const std::string& target, std::string json) {
  return ask(target, [&] {
    return protocol::http_post_json(server_, target, std::move(json), {kCallDeadline});
  });
}

std::optional<TokenizerServiceOptions> needed_tokenizer_service(const std::string& model,
                                                                const fs::path& directory,
                                                                int tokenizer_type,
                                                                const std::string& url,
                                                                const fs::path& root) {
  constexpr int kHttpTokenizer = 2;  // of StackFlow's tokenizer_type
  std::error_code error;
  if (tokenizer_type != kHttpTokenizer ||
      fs::exists(directory / "tokenizer" / "tokenizer.json", error)) {
    return std::nullopt;
  }
  return TokenizerServiceOptions{model, directory, url, root, nullptr};
}

std::string describe_tokenizer_service(const TokenizerServiceOptions& options) {
  if (const auto running = find_running(options)) return "HTTP service at " + running->url();
  return "HTTP service, by " + find_script(options).string();
}

}  // namespace main_llm
