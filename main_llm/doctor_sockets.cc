#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <sstream>
#include <system_error>

#include "main_llm/doctor.h"
#include "main_llm/doctor_facts.h"
#include "protocol/zmq_rpc.h"

namespace main_llm {
namespace {

namespace fs = std::filesystem;

// Who stands behind a socket file.
struct Listener {
  int error = 0;  // errno of connecting; ENOENT without a file, ECONNREFUSED for one left behind
  pid_t pid = 0;
};

Listener connect_to(const fs::path& file) {
  Listener listener;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = file.string();
  if (path.size() >= sizeof address.sun_path) return {ENAMETOOLONG, 0};
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  // One whose queue of connections is full refuses at once.
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket < 0) return {errno, 0};
  if (connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    listener.error = errno;
  } else {
    ucred peer{};
    socklen_t bytes = sizeof peer;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0) listener.pid = peer.pid;
  }
  close(socket);
  return listener;
}

// A program that answers calls, and a call that changes nothing there.
struct Peer {
  const char* id;
  const char* socket;
  const char* service;
  const char* action;
  const char* payload;
};
constexpr Peer kLlmSys = {"llm-sys", "rpc.sys", "llm-sys", "sql_select", "config_base_mode_path"};
constexpr Peer kLlmUnit = {"llm-unit", "rpc.llm", "llm-llm", "list_action", ""};

bool answers_calls(const DoctorView& view, const Peer& peer) {
  try {
    const fs::path file = view.socket_root / peer.socket;
    return protocol::call_rpc(file, peer.action, peer.payload, view.answer_deadline).has_value();
  } catch (const std::exception&) {  // no possible path of a socket
    return false;
  }
}

// Why nobody can be asked at the file `name`.
Finding unreachable(const DoctorView& view, const Peer& peer, const std::string& name, int error) {
  const std::string service = peer.service;
  const bool is_missing = error == ENOENT;
  if ((is_missing || error == ECONNREFUSED) && !view.has_stackflow()) {
    const std::string here = is_missing ? "not here" : name + " was left behind, nobody listens";
    return {peer.id, CheckState::kSkip, here + ": no StackFlow", ""};
  }
  if (error == EACCES) {
    return {peer.id, CheckState::kWarn, name + ": no permission to ask", "run as root"};
  }
  const std::string why = is_missing ? " is not there: " + service + " does not run"
                          : error == ECONNREFUSED
                              ? " was left behind, nobody listens: " + service + " has died"
                              : ": " + std::generic_category().message(error);
  return {
      peer.id, CheckState::kFail, name + why,
      "systemctl restart " + service + "; if it ends again: journalctl -u " + service + " -n 50"};
}

Finding check_peer(const DoctorView& view, const Peer& peer, const Listener& listener) {
  const std::string name = view.shown(view.socket_root / peer.socket);
  if (listener.error != 0) return unreachable(view, peer, name, listener.error);
  const std::string by = name + " (process " + std::to_string(listener.pid) + ")";
  if (answers_calls(view, peer)) return {peer.id, CheckState::kOk, "answers at " + by, ""};
  return {peer.id, CheckState::kFail,
          by + " takes connections and does not answer: every client of the module waits",
          "systemctl restart " + std::string(peer.service)};
}

// Is the unit that answers the one that the service starts?
void compare_with_service(const DoctorView& view, pid_t pid, Finding& finding) {
  constexpr std::string_view kDeleted = " (deleted)";
  std::error_code error;
  const std::string link = "proc/" + std::to_string(pid) + "/exe";
  std::string running = fs::read_symlink(view.root / link, error).string();
  const std::string started = read_llm_service(view).program;
  if (error || started.empty()) return;
  const bool is_replaced = running.ends_with(kDeleted);
  if (is_replaced) running.resize(running.size() - kDeleted.size());
  const fs::path program = view.at(started);
  if (!fs::exists(program, error)) return;  // a fault of the service
  if (running != view.shown(program)) {
    // What a script became cannot be told by its name.
    if (view.text(started).starts_with("#!")) return;
    finding.state = CheckState::kFail;
    finding.found = "another unit answers, which keeps llm-llm from starting: " + running +
                    " (process " + std::to_string(pid) + "), not " + started;
    finding.fix = "kill " + std::to_string(pid) + " && systemctl restart llm-llm";
  } else if (is_replaced) {
    finding.state = CheckState::kWarn;
    finding.found += " with a program that has been replaced since it was started";
    finding.fix = "systemctl restart llm-llm";
  }
}

// A line of /proc/net/tcp: "sl local_address rem_address st …", addresses "HEX:PORT".
bool is_listening_line(const std::string& line, unsigned port) {
  std::istringstream words(line);
  std::string number, local, remote, state;
  if (!(words >> number >> local >> remote >> state) || state != "0A") return false;
  const std::size_t colon = local.rfind(':');
  return colon != std::string::npos && std::strtoul(local.c_str() + colon + 1, nullptr, 16) == port;
}

Finding check_port(const DoctorView& view) {
  constexpr unsigned kPort = 10001;
  std::istringstream lines(view.text("/proc/net/tcp") + view.text("/proc/net/tcp6"));
  for (std::string line; std::getline(lines, line);) {
    if (is_listening_line(line, kPort)) {
      return {"port-10001", CheckState::kOk, "someone listens for clients", ""};
    }
  }
  if (!view.has_stackflow()) {
    return {"port-10001", CheckState::kSkip, "nobody listens: no StackFlow, no `llm_llm serve`",
            ""};
  }
  return {"port-10001", CheckState::kFail, "nobody listens: clients cannot connect",
          "systemctl restart llm-sys; if it ends again: journalctl -u llm-sys -n 50"};
}

}  // namespace

Findings check_sockets(const DoctorView& view) {
  const Listener unit = connect_to(view.socket_root / kLlmUnit.socket);
  Findings findings{check_peer(view, kLlmSys, connect_to(view.socket_root / kLlmSys.socket)),
                    check_peer(view, kLlmUnit, unit)};
  if (findings.back().state == CheckState::kOk) {
    compare_with_service(view, unit.pid, findings.back());
  }
  findings.push_back(check_port(view));
  return findings;
}

}  // namespace main_llm
