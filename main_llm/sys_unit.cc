#include "main_llm/sys_unit.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "main_llm/version.h"
#include "protocol/json_reader.h"
#include "protocol/json_writer.h"
#include "runner/text/utf8_stream.h"

namespace main_llm {
namespace {

// Clients choose their dialect by this text, so it is llm-sys's, not ours.
constexpr std::string_view kSysVersion = "v1.6";

constexpr std::array<std::string_view, 9> kRefusedActions = {
    "bashexec", "push", "pull", "update", "upgrade", "reboot", "uartsetup", "rmmode", "unit_call"};

// Writes a JSON value of a model's author in the style of our replies.
void append_rewritten(std::string& out, simdjson::dom::element value) {
  simdjson::dom::object object;
  simdjson::dom::array array;
  std::string_view text;
  if (value.get(object) == simdjson::SUCCESS) {
    out += '{';
    for (const auto& [key, member] : object) {
      if (out.back() != '{') out += ',';
      protocol::append_json_string(out, key);
      out += ':';
      append_rewritten(out, member);
    }
    out += '}';
  } else if (value.get(array) == simdjson::SUCCESS) {
    out += '[';
    for (const simdjson::dom::element item : array) {
      if (out.back() != '[') out += ',';
      append_rewritten(out, item);
    }
    out += ']';
  } else if (value.get(text) == simdjson::SUCCESS) {
    protocol::append_json_string(out, text);
  } else {
    out += simdjson::minify(value);
  }
}

}  // namespace

void SysUnit::handle(const protocol::Request& request, const protocol::ReplySinkPtr& sink) {
  sink->send(protocol::serialize(answer(request)));
  // Behind the reply, because without tasks the reset is over at once.
  if (request.action == "reset") reset(sink);
}

protocol::Reply SysUnit::answer(const protocol::Request& request) {
  protocol::Reply reply;
  reply.request_id = request.request_id;
  reply.work_id = request.work_id;
  const std::string& action = request.action;
  if (action == "ping") return reply;
  if (action == "version") {
    reply.object = "sys.utf-8";
    reply.data_json = protocol::json_string(kSysVersion);
  } else if (action == "version2") {
    reply.object = "sys.utf-8.stream";
    reply.data_json = protocol::json_array({"llm_llm-" + std::string(kUnitVersion)});
  } else if (action == "lsmode") {
    reply.object = "sys.lsmode";
    reply.data_json = list_models();
  } else if (action == "lstask") {
    reply.object = "sys.lstask";
    reply.data_json = protocol::json_array(unit_.work_ids());
  } else if (action == "hwinfo") {
    reply.object = "sys.hwinfo";
    reply.data_json = host_info_.hwinfo_json();
  } else if (action == "cmminfo") {
    reply.object = "sys.cmminfo";
    reply.data_json = cmminfo_json(root_);
  } else if (action == "reset") {
    reply.error.message = "llm server restarting ...";
  } else if (std::find(kRefusedActions.begin(), kRefusedActions.end(), action) !=
             kRefusedActions.end()) {
    reply.error = protocol::make_error(protocol::WireCode::kNotAvailable, action);
  } else {
    reply.error = protocol::make_error(protocol::WireCode::kUnknownSysAction, action);
  }
  return reply;
}

void SysUnit::reset(const protocol::ReplySinkPtr& sink) {
  unit_.drop_tasks([sink] {
    protocol::Reply over;
    over.request_id = "0";
    over.work_id = "sys";
    over.error.message = "reset over";
    sink->send(protocol::serialize(over));
  });
}

std::string SysUnit::list_models() const {
  std::string json = "[";
  for (const ModelListing& model : loader_.list()) {
    const protocol::JsonDocument document(model.mode_json);
    if (model.mode_json.empty() || !document.ok()) continue;
    if (json.size() > 1) json += ',';
    append_rewritten(json, document.root());
    if (model.problems.empty() || json.back() != '}') continue;
    // Among the other keys, which differ from model to model anyway, it disturbs no client.
    json.back() = ',';
    json += "\"broken\":" + protocol::json_string(runner::to_valid_utf8(model.problems[0])) + '}';
  }
  return json + "]";
}

}  // namespace main_llm
