#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

// Checks that a message names all of `parts`.
inline void expect_mentions(const std::string& text, std::initializer_list<std::string> parts) {
  for (const std::string& part : parts) {
    EXPECT_NE(text.find(part), std::string::npos) << "'" << part << "' is not in: " << text;
  }
}
