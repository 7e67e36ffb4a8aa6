#pragma once

#include <string>
#include <utility>

namespace main_llm {

// A progress bar on stderr, drawn only where stderr is a terminal and wiped at the end.
class ProgressBar {
 public:
  // `label`: what goes on, in front of the bar.
  explicit ProgressBar(std::string label) : label_(std::move(label)) {}
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // `fraction` is what is done, from 0 to 1.
  void show(double fraction);

 private:
  std::string label_;
  int shown_percent_ = -1;
};

}  // namespace main_llm
