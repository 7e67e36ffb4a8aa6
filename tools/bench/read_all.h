#pragma once

#include <cstddef>
#include <span>

// Reads every byte once, in order, as fast as one thread can: the yardstick for code that should
// be limited by memory. Nothing else is done with the bytes.
void read_all(std::span<const std::byte> bytes);
