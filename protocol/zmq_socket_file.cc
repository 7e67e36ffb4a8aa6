#include "protocol/zmq_socket_file.h"

#include <unistd.h>

#include <string_view>

namespace protocol {
namespace {

std::string path_of(const std::string& url) {
  constexpr std::string_view kScheme = "ipc://";
  return url.compare(0, kScheme.size(), kScheme) == 0 ? url.substr(kScheme.size()) : "";
}

}  // namespace

ZmqSocketFile::ZmqSocketFile(const std::string& url) : path_(path_of(url)) {
  (void)::stat(path_.c_str(), &made_);
}

ZmqSocketFile::~ZmqSocketFile() {
  struct stat now {};
  if (::stat(path_.c_str(), &now) == 0 && now.st_ino == made_.st_ino &&
      now.st_dev == made_.st_dev) {
    ::unlink(path_.c_str());
  }
}

}  // namespace protocol
