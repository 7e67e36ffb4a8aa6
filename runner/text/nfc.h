#pragma once

#include <string>
#include <string_view>

namespace runner {

// `text` in Unicode normalization form C (UAX #15). Time grows linearly with the text, times a
// logarithm within runs of combining marks. REQUIRES: is_valid_utf8(text).
std::string to_nfc(std::string_view text);

}  // namespace runner
