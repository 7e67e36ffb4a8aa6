#pragma once

#include <filesystem>
#include <utility>

#include "main_llm/host_info.h"
#include "main_llm/model_loader.h"
#include "main_llm/unit.h"
#include "protocol/unit_host.h"

namespace main_llm {

// The part of llm-sys that `serve` offers beside the llm unit: the `sys` actions of PROTOCOL.md.
// What would give a client root on the machine is refused.
//
// Threads: one call at a time; never blocks for long.
class SysUnit {
 public:
  // Both must outlive it. `root` stands in front of /proc.
  SysUnit(Unit& unit, ModelLoader& loader, std::filesystem::path root)
      : unit_(unit), loader_(loader), root_(std::move(root)) {}

  void handle(const protocol::Request& request, const protocol::ReplySinkPtr& sink);

 private:
  protocol::Reply answer(const protocol::Request& request);
  void reset(const protocol::ReplySinkPtr& sink);
  std::string list_models() const;

  Unit& unit_;
  ModelLoader& loader_;
  const std::filesystem::path root_;
  HostInfo host_info_;
};

}  // namespace main_llm
