#pragma once

#include <cstdint>

// What libax_sys.so exports beyond the vendor's functions, for tests in the same process:
// dlsym(sys, "AX_SIM_GetCounters") and so on.

// All since the process started or AX_SIM_ResetCounters; what is "live" is so now.
struct AxSimCounters {
  std::uint64_t decode_runs;   // runs that succeeded; groups of one row
  std::uint64_t prefill_runs;  // the same; groups of several rows
  std::uint64_t prefill_rows;  // rows of prefill runs whose mask shows at least one column
  std::uint64_t post_runs;
  std::uint64_t flush_calls;
  std::uint64_t flush_bytes;  // as asked for, not rounded to cache lines
  std::uint64_t invalidate_calls;
  std::uint64_t invalidate_bytes;
  std::uint64_t allocations;
  std::uint64_t live_blocks;
  std::uint64_t live_handles;
  std::uint64_t cmm_bytes;       // live: blocks in whole pages, and weights
  std::uint64_t cmm_peak_bytes;  // the most cmm_bytes has been
  std::uint64_t violations;
  std::uint64_t faults;  // calls failed on behalf of AX_SIM_FAIL
};

extern "C" {
void AX_SIM_GetCounters(AxSimCounters* out);
// Also forgets the last violation and how often AX_SIM_FAIL's functions were called.
void AX_SIM_ResetCounters(void);
// The newest violation's line without "ax_sim: "; "" when there was none. Valid until the next
// call.
const char* AX_SIM_LastViolation(void);
}
