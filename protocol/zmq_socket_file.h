#pragma once

#include <sys/stat.h>

#include <string>

namespace protocol {

// The file of an ipc URL that was just bound. ZeroMQ leaves it behind; this removes it, unless
// another program has bound the URL since.
class ZmqSocketFile {
 public:
  explicit ZmqSocketFile(const std::string& url);
  ~ZmqSocketFile();

  ZmqSocketFile(const ZmqSocketFile&) = delete;
  ZmqSocketFile& operator=(const ZmqSocketFile&) = delete;

 private:
  const std::string path_;  // "" for other transports
  struct stat made_ {};
};

}  // namespace protocol
