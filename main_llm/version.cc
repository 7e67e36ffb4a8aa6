#include "main_llm/version.h"

namespace main_llm {

const std::string_view kVersion = "1.13.0-soft1";
const std::string_view kUnitVersion = kVersion.substr(0, kVersion.rfind('.'));

}  // namespace main_llm
