#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "protocol/unit_host.h"
#include "protocol/zmq_loop.h"

namespace protocol {

// The senders of requests by their reply URLs, where llm-sys takes the replies to one client each
// (PULL) and which it closes when the client goes.
//
// A sender is connected to from its first request on, so that its going is noticed, and let go of
// when nothing was sent for a while and nobody owes it a reply; a later reply connects anew.
//
// Threads: get() and the sinks may be used from any thread. `on_gone` is called from the loop's.
class ZmqReplySinks {
 public:
  ZmqReplySinks(ZmqLoop& loop, GoneHandler on_gone, std::chrono::milliseconds idle_time);
  // Sinks held elsewhere drop what they are given from then on.
  ~ZmqReplySinks();

  ZmqReplySinks(const ZmqReplySinks&) = delete;
  ZmqReplySinks& operator=(const ZmqReplySinks&) = delete;

  // The sink of that URL: the same object as long as the sender has not gone.
  ReplySinkPtr get(const std::string& url);

 private:
  class Sink;

  void lost(Sink& sink);
  void reap();
  void reap_regularly();

  ZmqLoop& loop_;
  const GoneHandler on_gone_;
  const std::chrono::milliseconds idle_time_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Sink>> sinks_;  // by URL
  // Outlived by timers of the loop, which look whether it is still there.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace protocol
