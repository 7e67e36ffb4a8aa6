#pragma once

// Allocations of this test program so far, of all threads: operator new is replaced by one that
// counts.
long allocation_count();
