#include "main_llm/progress_bar.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace main_llm {

ProgressBar::~ProgressBar() {
  if (shown_percent_ >= 0) std::fputs("\r\033[K", stderr);
}

void ProgressBar::show(double fraction) {
  const int percent = std::clamp(static_cast<int>(fraction * 100), 0, 100);
  if (percent == shown_percent_ || isatty(STDERR_FILENO) == 0) return;
  constexpr int kCells = 40;
  const std::string bar(static_cast<std::size_t>(percent * kCells / 100), '#');
  std::fprintf(stderr, "\r%s [%-*s] %3d %%", label_.c_str(), kCells, bar.c_str(), percent);
  shown_percent_ = percent;
}

}  // namespace main_llm
