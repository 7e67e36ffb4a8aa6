// Feeds any bytes through the way a client's bytes go: framer, request parser, stream parser and
// collector, and back out as a reply. Besides not crashing, the frames may not depend on how the
// bytes were cut, and what is written must read back as it was.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "protocol/base64.h"
#include "protocol/framer.h"
#include "protocol/json_reader.h"
#include "protocol/json_writer.h"
#include "protocol/message.h"
#include "protocol/stream_input.h"

namespace {

using namespace protocol;

void check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

// Cuts `bytes` into pieces of up to `max_piece_bytes`, or not at all when that is 0.
std::vector<Frame> frames_of(std::string_view bytes, std::size_t max_bytes,
                             std::size_t max_piece_bytes) {
  Framer framer(max_bytes);
  std::vector<Frame> frames;
  std::minstd_rand random(static_cast<unsigned>(bytes.size()));
  while (!bytes.empty()) {
    const std::size_t piece_bytes =
        max_piece_bytes == 0 ? bytes.size()
                             : std::min<std::size_t>(1 + random() % max_piece_bytes, bytes.size());
    framer.push(bytes.substr(0, piece_bytes));
    bytes.remove_prefix(piece_bytes);
    while (std::optional<Frame> frame = framer.next()) frames.push_back(*std::move(frame));
  }
  return frames;
}

bool same(const Frame& a, const Frame& b) {
  return a.kind == b.kind && a.json == b.json && a.raw == b.raw;
}

void write_and_read_back(const Request& request) {
  Reply reply;
  reply.request_id = request.request_id;
  reply.work_id = request.work_id;
  reply.object = request.object;
  reply.data_json = stream_data(1, false, request.data);
  const std::string line = serialize(reply, 1);
  check(std::count(line.begin(), line.end(), '\n') == 1, "a reply is one line");
  const JsonDocument document(line);
  check(document.ok(), "a reply is JSON");
  const simdjson::dom::element root = document.root();
  check(std::string_view(root["request_id"]) == request.request_id, "request_id");
  check(std::string_view(root["work_id"]) == request.work_id, "work_id");
  check(std::string_view(root["object"]) == request.object, "object");
  check(std::string_view(root["data"]["delta"]) == request.data, "delta");
}

void use(const Frame& frame, StreamCollector& collector) {
  const std::variant<Request, BadRequest> parsed = parse_frame(frame);
  const auto* request = std::get_if<Request>(&parsed);
  if (request == nullptr) return;
  write_and_read_back(*request);
  if (request->data_kind == DataKind::kObject || request->data_kind == DataKind::kOther) {
    check(JsonDocument(request->data).ok(), "data that is JSON stays JSON");
  }
  if (const auto bytes = base64_decode(request->data)) {
    check(base64_encode(*bytes) == request->data, "base64 has one form");
  }
  const auto stream_frame = parse_stream_frame(request->data);
  if (const auto* read = std::get_if<StreamFrame>(&stream_frame)) {
    const StreamCollector::Result result = collector.push(*read);
    check(collector.empty() != std::holds_alternative<StreamCollector::Unfinished>(result),
          "a collector is empty after an ending");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  // Small limits, so that they are met; the last byte chooses, so that seeds stay readable.
  constexpr std::size_t kLimits[] = {1'000'000, 200, 70, 20, 1};
  const std::size_t max_bytes = kLimits[size == 0 ? 0 : data[size - 1] % std::size(kLimits)];

  const std::vector<Frame> frames = frames_of(bytes, max_bytes, 0);
  for (const std::size_t max_piece_bytes : {1u, 5u, 100u}) {
    const std::vector<Frame> others = frames_of(bytes, max_bytes, max_piece_bytes);
    check(std::equal(frames.begin(), frames.end(), others.begin(), others.end(), same),
          "frames do not depend on the cuts");
  }
  StreamCollector collector;
  for (const Frame& frame : frames) {
    check(frame.json.size() <= max_bytes && frame.raw.size() <= max_bytes, "limits hold");
    use(frame, collector);
  }
  return 0;
}
