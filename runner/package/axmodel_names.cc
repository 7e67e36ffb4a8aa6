#include "runner/package/axmodel_names.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <utility>

#include "runner/package/folder_listing.h"

namespace runner {
namespace {

constexpr std::string_view kAxmodel = ".axmodel";

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

struct NumberAt {
  std::size_t begin = 0;  // of the digits
  std::size_t end = 0;
  int value = 0;
};

// The last number that follows `letter` at the start of a word, as 7 does in "qwen2_p128_l7_x".
std::optional<NumberAt> find_number(std::string_view name, char letter) {
  std::optional<NumberAt> found;
  for (std::size_t at = 0; at + 1 < name.size(); ++at) {
    if (name[at] != letter || !is_digit(name[at + 1])) continue;
    if (at > 0 && (is_digit(name[at - 1]) || is_letter(name[at - 1]))) continue;
    NumberAt number{at + 1, at + 1, 0};
    while (number.end < name.size() && is_digit(name[number.end])) ++number.end;
    const char* begin = name.data() + number.begin;
    const bool is_word = number.end == name.size() || !is_letter(name[number.end]);
    const bool is_padded = name[number.begin] == '0' && number.end > number.begin + 1;
    if (!is_word || is_padded) continue;
    if (std::from_chars(begin, name.data() + number.end, number.value).ec == std::errc()) {
      found = number;
    }
  }
  return found;
}

}  // namespace

std::string AxmodelLayers::name_of(int layer) const {
  const std::size_t place = pattern.find("%d");
  return pattern.substr(0, place) + std::to_string(layer) + pattern.substr(place + 2);
}

bool is_plain_name(std::string_view name) {
  constexpr std::string_view kOthers = "._+-";
  return !name.empty() && std::all_of(name.begin(), name.end(), [&](char c) {
    return is_digit(c) || is_letter(c) || kOthers.find(c) != std::string_view::npos;
  });
}

std::vector<AxmodelLayers> axmodel_layers(const std::vector<std::string>& names) {
  std::map<std::string, AxmodelLayers> families;
  for (const std::string& name : names) {
    if (!is_plain_name(name) || !name.ends_with(kAxmodel)) continue;
    const std::string_view stem = std::string_view(name).substr(0, name.size() - kAxmodel.size());
    const auto layer = find_number(stem, 'l');
    if (!layer || layer->value >= kMostLayers) continue;
    const std::string pattern = name.substr(0, layer->begin) + "%d" + name.substr(layer->end);
    AxmodelLayers& family = families[pattern];
    family.pattern = pattern;
    family.layers.insert(layer->value);
    const auto prefill = find_number(stem, 'p');
    family.prefill = prefill ? prefill->value : 0;
  }
  std::vector<AxmodelLayers> result;
  for (auto& [pattern, family] : families) result.push_back(std::move(family));
  return result;
}

std::vector<AxmodelLayers> find_axmodel_layers(const std::filesystem::path& directory) {
  return axmodel_layers(file_names(directory));
}

}  // namespace runner
