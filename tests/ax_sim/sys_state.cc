#include "tests/ax_sim/sys_state.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/ax_sim/ax_abi.h"

namespace ax_sim {
namespace {

std::uint64_t number_of(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr || *text == '\0' ? otherwise : std::strtoull(text, nullptr, 10);
}

std::string text_of(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? "" : text;
}

// FUNCTION:N:CODE or FUNCTION:N+:CODE
Fault parse_fault(const std::string& entry) {
  Fault fault;
  const std::size_t colon = entry.find(':');
  fault.function = entry.substr(0, colon);
  char* end = nullptr;
  if (colon != std::string::npos) {
    fault.first = std::strtoull(entry.c_str() + colon + 1, &end, 10);
    fault.and_later = *end == '+';
    if (fault.and_later) ++end;
  }
  if (end == nullptr || *end != ':' || fault.first == 0) {
    std::fprintf(stderr, "ax_sim: AX_SIM_FAIL: '%s' is not FUNCTION:N:CODE\n", entry.c_str());
    std::abort();
  }
  fault.code = code(static_cast<std::uint32_t>(std::strtoul(end + 1, nullptr, 16)));
  return fault;
}

std::vector<Fault> parse_faults(const std::string& text) {
  std::vector<Fault> faults;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    if (end > at) faults.push_back(parse_fault(text.substr(at, end - at)));
    at = end + 1;
  }
  return faults;
}

// REQUIRES: the mutex. Calls of AX_SYS_Init that failed count on, so that a retry can succeed.
void read_environment(State& s) {
  s.settings.free = number_of("AX_SIM_FREE", 0) != 0;
  is_free = s.settings.free;
  s.settings.run_ms = static_cast<std::uint32_t>(number_of("AX_SIM_RUN_MS", 0));
  s.settings.hang_ms = static_cast<std::uint32_t>(number_of("AX_SIM_HANG_MS", 20));
  s.settings.cmm_limit = number_of("AX_SIM_CMM_MIB", 0) << 20;
  s.report_file = text_of("AX_SIM_REPORT");
  const std::string fail = text_of("AX_SIM_FAIL");
  if (!s.session || fail != s.fail_text) {
    s.faults = parse_faults(fail);
    s.fail_text = fail;
  }
  s.session = true;
}

void write_report(const State& s, bool deinitialised) {
  if (s.report_file.empty()) return;
  std::FILE* file = std::fopen(s.report_file.c_str(), "w");
  if (file == nullptr) {
    std::fprintf(stderr, "ax_sim: cannot write AX_SIM_REPORT=%s\n", s.report_file.c_str());
    return;
  }
  const AxSimCounters& c = s.counters;
  const struct {
    const char* name;
    std::uint64_t value;
  } fields[] = {{"decode_runs", c.decode_runs},
                {"prefill_runs", c.prefill_runs},
                {"prefill_rows", c.prefill_rows},
                {"post_runs", c.post_runs},
                {"flush_calls", c.flush_calls},
                {"flush_bytes", c.flush_bytes},
                {"invalidate_calls", c.invalidate_calls},
                {"invalidate_bytes", c.invalidate_bytes},
                {"allocations", c.allocations},
                {"live_blocks", c.live_blocks},
                {"live_handles", c.live_handles},
                {"cmm_bytes", c.cmm_bytes},
                {"cmm_peak_bytes", c.cmm_peak_bytes},
                {"violations", c.violations},
                {"faults", c.faults}};
  std::fputc('{', file);
  for (const auto& field : fields) {
    std::fprintf(file, "\"%s\":%llu,", field.name, static_cast<unsigned long long>(field.value));
  }
  std::fprintf(file, "\"deinitialised\":%s}\n", deinitialised ? "true" : "false");
  std::fclose(file);
}

// At process exit.
struct LastReport {
  ~LastReport() {
    State& s = state();
    const std::lock_guard lock(s.mutex);
    if (s.session) write_report(s, false);
  }
};
LastReport last_report;

}  // namespace

std::atomic<bool> is_free = false;

State& state() {
  static State& instance = *new State;
  return instance;
}

}  // namespace ax_sim

using ax_sim::State;
using ax_sim::state;

std::int32_t AX_SIM_Fault(const char* function) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  std::int32_t code = 0;
  for (ax_sim::Fault& fault : s.faults) {
    if (fault.function != function) continue;
    ++fault.calls;
    if (fault.calls == fault.first || (fault.and_later && fault.calls > fault.first)) {
      code = fault.code;
    }
  }
  if (code != 0) ++s.counters.faults;
  return code;
}

void AX_SIM_Violation(const char* format, ...) {
  char text[512];
  va_list values;
  va_start(values, format);
  std::vsnprintf(text, sizeof text, format, values);
  va_end(values);
  std::fprintf(stderr, "ax_sim: %s\n", text);
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.last_violation = text;
  ++s.counters.violations;
}

bool AX_SIM_Initialised() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  return s.inits > 0;
}

ax_sim::Settings AX_SIM_Settings() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  return s.settings;
}

bool AX_SIM_IsFree() { return ax_sim::is_free.load(std::memory_order_relaxed); }

void AX_SIM_Count(ax_sim::Count counter, std::int64_t difference) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  std::uint64_t* const values[] = {&s.counters.decode_runs, &s.counters.prefill_runs,
                                   &s.counters.prefill_rows, &s.counters.post_runs,
                                   &s.counters.live_handles};
  *values[static_cast<int>(counter)] += static_cast<std::uint64_t>(difference);
}

void AX_SIM_SetEngineOpen(bool open) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.engine_open = open;
}

void AX_SIM_GetCounters(AxSimCounters* out) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  *out = s.counters;
}

void AX_SIM_ResetCounters() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  AxSimCounters fresh{};
  fresh.live_blocks = s.counters.live_blocks;
  fresh.live_handles = s.counters.live_handles;
  fresh.cmm_bytes = fresh.cmm_peak_bytes = s.counters.cmm_bytes;
  s.counters = fresh;
  s.last_violation.clear();
  for (ax_sim::Fault& fault : s.faults) fault.calls = 0;
}

const char* AX_SIM_LastViolation() {
  static char text[512];
  State& s = state();
  const std::lock_guard lock(s.mutex);
  std::snprintf(text, sizeof text, "%s", s.last_violation.c_str());
  return text;
}

std::int32_t AX_SYS_Init() {
  State& s = state();
  {
    const std::lock_guard lock(s.mutex);
    if (s.inits == 0) ax_sim::read_environment(s);
  }
  if (const std::int32_t code = AX_SIM_Fault("AX_SYS_Init"); code != 0) return code;
  const std::lock_guard lock(s.mutex);
  ++s.inits;
  return 0;
}

std::int32_t AX_SYS_Deinit() {
  if (const std::int32_t code = AX_SIM_Fault("AX_SYS_Deinit"); code != 0) return code;
  State& s = state();
  bool engine_open = false;
  {
    const std::lock_guard lock(s.mutex);
    if (s.inits > 1) {
      --s.inits;
      return 0;
    }
    engine_open = s.engine_open;
  }
  if (!AX_SIM_Initialised()) {
    AX_SIM_Violation("AX_SYS_Deinit: without a successful AX_SYS_Init");
    return ax_sim::kSysNotInitialised;
  }
  if (engine_open) AX_SIM_Violation("AX_SYS_Deinit: before the last AX_ENGINE_Deinit");
  const std::size_t left = ax_sim::free_left_blocks();
  const std::lock_guard lock(s.mutex);
  s.inits = 0;
  s.session = false;
  ax_sim::write_report(s, true);
  return left > 0 || engine_open ? ax_sim::kSysBusy : 0;
}
