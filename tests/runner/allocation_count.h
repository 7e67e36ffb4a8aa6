#pragma once

#include <optional>

// Allocations of this test program so far, of all threads: operator new is replaced by one that
// counts. nullopt in builds for ThreadSanitizer, which brings its own operator new.
std::optional<long> allocation_count();
