#include "protocol/json_writer.h"

#include <array>
#include <cstddef>

namespace protocol {
namespace {

constexpr std::array<std::string_view, 9> kKeyNames = {
    "action", "object", "data", "index", "finish", "delta", "request_id", "work_id", "zmq_com"};

// Where the written string would hold a key name between two quotes, escaped ones included, so
// that a search for the quoted key name would find the value: the position of the name, else npos.
std::size_t find_key_name(std::string_view text) {
  for (const std::string_view name : kKeyNames) {
    if (!text.ends_with(name)) continue;
    const std::size_t begin = text.size() - name.size();
    if (begin == 0 || text[begin - 1] == '"') return begin;
  }
  return std::string_view::npos;
}

bool is_plain(char c) {
  return static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\' && c != '{' && c != '}';
}

void append_escaped(std::string& out, char c) {
  constexpr std::string_view kHex = "0123456789abcdef";
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\t':
      out += "\\t";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\b':
      out += "\\b";
      return;
    default:
      out += "\\u00";
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[static_cast<unsigned char>(c) & 15];
  }
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  const std::size_t key_name = find_key_name(text);
  out += '"';
  std::size_t written = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_plain(text[i]) && i != key_name) continue;
    out += text.substr(written, i - written);
    append_escaped(out, text[i]);
    written = i + 1;
  }
  out += text.substr(written);
  out += '"';
}

std::string json_string(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

std::string json_array(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) {
    if (out.size() > 1) out += ',';
    append_json_string(out, text);
  }
  return out + "]";
}

std::string stream_data(std::uint64_t index, bool finish, std::string_view delta) {
  std::string out = "{\"index\":" + std::to_string(index);
  out += finish ? ",\"finish\":true" : ",\"finish\":false";
  out += ",\"delta\":";
  append_json_string(out, delta);
  out += '}';
  return out;
}

}  // namespace protocol
