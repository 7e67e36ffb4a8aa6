#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/message.h"

// What a unit needs from its surroundings, so that the same unit runs behind its own TCP port
// (`serve`) and behind llm-sys over ZeroMQ.
namespace protocol {

// Where the replies to one sender go. One object per connection (or reply URL), shared by all
// requests of that sender, so that two sinks are the same sender exactly if they are the same
// object. All methods may be called from any thread and never block.
//
// Hold one only while a reply may still be owed, else a weak_ptr: a transport may end a connection
// that sends no more as soon as nobody holds its sink.
class ReplySink {
 public:
  virtual ~ReplySink() = default;
  // Sends one serialized line. Lines arrive in the order of the calls. A sink whose peer has gone
  // drops it. Calls nobody back before it returns.
  virtual void send(std::string line) = 0;
  // True once the sender has gone for good.
  virtual bool closed() const = 0;
};

using ReplySinkPtr = std::shared_ptr<ReplySink>;

// Takes one request. Called from a transport's thread: must not block.
using Handler = std::function<void(Request, ReplySinkPtr)>;

// Called once when a sender has gone. Must not block.
using GoneHandler = std::function<void(const ReplySinkPtr&)>;

// Keeps a subscription alive; destroying it ends the subscription. After that the callback is not
// running and is not called again.
class Subscription {
 public:
  virtual ~Subscription() = default;
};

class UnitHost {
 public:
  virtual ~UnitHost() = default;

  // Allots the next work_id ("llm.1000") and opens the task's channels; returns when inferences
  // sent to it cannot be lost any more. May block for seconds: never call it from a transport's
  // thread. Throws Error when `sys` does not answer.
  virtual std::string register_task() = 0;

  // Closes the task's channels and gives the work_id back. May block like register_task. Unknown
  // ids are ignored. Never throws.
  virtual void release_task(const std::string& work_id) noexcept = 0;

  // Puts one serialized line on the task's output, for whoever subscribes. Never blocks.
  virtual void publish(const std::string& work_id, const std::string& line) = 0;

  // True if anyone subscribes to the task's output now.
  virtual bool has_subscribers(const std::string& work_id) const = 0;

  // The output URL of another unit's task ("asr.1001"); nullopt if there is none. May block.
  virtual std::optional<std::string> find_output(const std::string& work_id) = 0;

  // Delivers every message published at `url` to `on_message` (a reply-shaped JSON line), from a
  // thread of the host; `on_message` must not block. Throws Error when it cannot connect.
  virtual std::unique_ptr<Subscription> subscribe(
      const std::string& url, std::function<void(std::string_view)> on_message) = 0;
};

}  // namespace protocol
