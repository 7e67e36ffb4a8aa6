#include <iostream>

#include "main_llm/child_output.h"
#include "main_llm/commands.h"
#include "main_llm/doctor.h"

namespace main_llm {

int doctor(const DoctorOptions& options, ModelLoader& loader) {
  DoctorView view;
  view.root = std::filesystem::absolute(options.root).lexically_normal();
  view.socket_root = options.socket_root.empty() ? view.root / "tmp" : options.socket_root;
  view.models = options.models;
  if (view.root == "/") {  // systemctl speaks of this machine
    view.systemctl = [deadline = view.answer_deadline](std::vector<std::string> arguments) {
      arguments.insert(arguments.begin(), "systemctl");
      return child_output(arguments, deadline);
    };
  }
  const Findings findings = examine(view, loader);
  if (options.json) {
    std::cout << doctor_json(findings) << '\n';
  } else {
    std::cout << doctor_text(findings);
  }
  return is_healthy(findings) ? 0 : 1;
}

}  // namespace main_llm
