#include "protocol/message.h"

#include <chrono>
#include <optional>
#include <utility>

#include "protocol/base64.h"
#include "protocol/framer.h"
#include "protocol/json_reader.h"
#include "protocol/json_writer.h"

namespace protocol {
namespace {

// Reads the string `key` into `value`. Returns what is wrong with it, if anything.
std::optional<std::string> read_string(simdjson::dom::object object, std::string_view key,
                                       std::string& value) {
  const std::optional<simdjson::dom::element> member = find_member(object, key);
  std::string_view text;
  if (member && !member->get(text)) {
    value = text;
    return std::nullopt;
  }
  return std::string(key) + " is " + (member ? describe(*member) : "missing") +
         ", expected a string";
}

void read_data(std::string_view json, simdjson::dom::object object, Request& request) {
  const std::optional<simdjson::dom::element> data = find_member(object, "data");
  std::string_view text;
  if (!data) {
    request.data_kind = DataKind::kAbsent;
  } else if (data->is_null()) {
    request.data_kind = DataKind::kNull;
  } else if (!data->get(text)) {
    request.data_kind = DataKind::kString;
    request.data = text;
  } else {
    request.data_kind = data->is_object() ? DataKind::kObject : DataKind::kOther;
    request.data = member_text(json, object, "data");
  }
}

}  // namespace

std::variant<Request, BadRequest> parse_request(std::string_view json) {
  const JsonDocument document(json);
  if (!document.ok()) return BadRequest{"0", document.error()};
  simdjson::dom::object object;
  if (document.root().get(object)) {
    return BadRequest{"0", "got " + describe(document.root()) + ", expected an object"};
  }

  Request request;
  std::optional<std::string> fault = read_string(object, "request_id", request.request_id);
  if (fault) return BadRequest{"0", *std::move(fault)};
  fault = read_string(object, "work_id", request.work_id);
  if (!fault) fault = read_string(object, "action", request.action);
  const std::optional<simdjson::dom::element> type = find_member(object, "object");
  if (!fault && type && !type->is_null()) fault = read_string(object, "object", request.object);
  if (fault) return BadRequest{request.request_id, *std::move(fault)};
  read_data(json, object, request);
  return request;
}

std::variant<Request, BadRequest> parse_frame(const Frame& frame) {
  if (frame.kind == Frame::Kind::kReset) return BadRequest{"0", "no frame"};
  std::variant<Request, BadRequest> parsed = parse_request(frame.json);
  auto* const request = std::get_if<Request>(&parsed);
  if (request == nullptr) return parsed;
  if (frame.kind == Frame::Kind::kBson) {
    return BadRequest{request->request_id, "BSON data is not supported"};
  }
  if (frame.kind == Frame::Kind::kRaw) {
    request->data_kind = DataKind::kString;
    request->data = base64_encode(frame.raw);
  }
  return parsed;
}

bool object_has(std::string_view object, std::string_view name) {
  while (true) {
    const std::size_t dot = object.find('.');
    if (object.substr(0, dot) == name) return true;
    if (dot == std::string_view::npos) return false;
    object.remove_prefix(dot + 1);
  }
}

std::string serialize(const Reply& reply, std::int64_t created) {
  std::string line = "{\"object\":";
  append_json_string(line, reply.object);
  line += ",\"data\":";
  line += reply.data_json;
  line += ",\"error\":{\"code\":";
  line += std::to_string(static_cast<int>(reply.error.code));
  line += ",\"message\":";
  append_json_string(line, reply.error.message);
  line += "},\"created\":";
  line += std::to_string(created);
  line += ",\"request_id\":";
  append_json_string(line, reply.request_id);
  line += ",\"work_id\":";
  append_json_string(line, reply.work_id);
  line += "}\n";
  return line;
}

std::string serialize(const Reply& reply) {
  const auto now = std::chrono::system_clock::now();
  return serialize(reply, std::chrono::system_clock::to_time_t(now));
}

}  // namespace protocol
