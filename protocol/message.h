#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "protocol/error.h"

namespace protocol {

// What stands in a request's `data`.
enum class DataKind { kAbsent, kNull, kString, kObject, kOther };

// One request from a client. All strings are valid UTF-8.
struct Request {
  std::string request_id;
  std::string work_id;  // as sent; "" means "sys"
  std::string action;
  std::string object;  // "" when absent
  DataKind data_kind = DataKind::kAbsent;
  std::string data;  // kString: the decoded text. kObject, kOther: the JSON as sent. Else "".
};

// A frame that is no request: answered with kJsonFormat.
struct BadRequest {
  std::string request_id = "0";  // the request's own where it could be read
  std::string detail;            // what was wrong, for the message
};

// Parses one complete JSON object. Anything that is not valid JSON or UTF-8, nests deeper than
// 1024, holds a lone surrogate, or lacks request_id/work_id/action as strings is a BadRequest.
// Other keys, such as the `zmq_com` that llm-sys puts first, are ignored.
std::variant<Request, BadRequest> parse_request(std::string_view json);

struct Frame;

// Parses the object of a frame that is not kReset. The bytes of a RAW frame take the place of
// `data`, as base64 text; a BSON frame is a BadRequest.
std::variant<Request, BadRequest> parse_frame(const Frame& frame);

// True if `object` (dotted, as "llm.utf-8.stream") contains the part `name` ("stream", "base64").
bool object_has(std::string_view object, std::string_view name);

// One reply. serialize() writes it with its final newline.
struct Reply {
  std::string request_id;
  std::string work_id;
  std::string object = "None";
  std::string data_json = "\"None\"";  // raw JSON, written with json_writer.h
  WireError error;
};

// One line, ending in '\n', fields in the order object, data, error, created, request_id,
// work_id. `created` is unix time in seconds.
std::string serialize(const Reply& reply, std::int64_t created);
std::string serialize(const Reply& reply);  // created = now

}  // namespace protocol
