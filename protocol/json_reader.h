#pragma once

#include <simdjson.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace protocol {

// A JSON text, parsed. Every string in it, keys too, is valid UTF-8, and it nests at most kMaxDepth
// deep, so that readers may recurse. Integers outside 64 bits and numbers beyond double are
// refused. Elements point into the document and live as long as it does, moves included.
class JsonDocument {
 public:
  static constexpr std::size_t kMaxDepth = 1024;

  // Parses any text; ok() says whether it was JSON.
  explicit JsonDocument(std::string_view text);

  bool ok() const { return error_.empty(); }

  // What was wrong with the text, for messages; "" when ok().
  const std::string& error() const { return error_; }

  // REQUIRES: ok().
  simdjson::dom::element root() const { return root_; }

 private:
  std::unique_ptr<simdjson::dom::parser> parser_;  // owns what root_ points to
  simdjson::dom::element root_;
  std::string error_;
};

// The value of `key` (the first one, where it is repeated); nullopt when there is none.
std::optional<simdjson::dom::element> find_member(simdjson::dom::object object,
                                                  std::string_view key);

// The text of that value as it stands in `json`, which `object` is the whole of. (simdjson 1.0
// writes the number 1.0 as 1, so writing the element anew would change what it is.) REQUIRES: there
// is one.
std::string_view member_text(std::string_view json, simdjson::dom::object object,
                             std::string_view key);

// What an element is, for messages: "a string", "an object", "null", "-1.5", "true".
std::string describe(simdjson::dom::element element);

}  // namespace protocol
