#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "tests/ax_sim/ax_sim.h"
#include "tests/ax_sim/sim_sys.h"

// What the sources of libax_sys.so share.
namespace ax_sim {

// An entry of AX_SIM_FAIL.
struct Fault {
  std::string function;
  std::uint64_t first = 0;  // the call that fails, from 1
  bool and_later = false;
  std::int32_t code = 0;
  std::uint64_t calls = 0;
};

// Everything but the memory. `mutex` guards all members; no violation may be reported under it.
struct State {
  std::mutex mutex;
  int inits = 0;
  bool session = false;  // from the first AX_SYS_Init, failed or not, to the last AX_SYS_Deinit
  bool engine_open = false;
  Settings settings{};
  std::string fail_text;  // AX_SIM_FAIL as it was when `faults` was made
  std::vector<Fault> faults;
  std::string report_file;  // AX_SIM_REPORT
  AxSimCounters counters{};
  std::string last_violation;
};

// Of the settings, for those who do not want to wait.
extern std::atomic<bool> is_free;

// Never destroyed: other threads may be inside when the process ends.
State& state();

// Names and frees the blocks that are left, and unlocks nothing else. Returns their number.
std::size_t free_left_blocks();

}  // namespace ax_sim
