#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace runner {

// Of a model; larger numbers in names are not those of layers.
inline constexpr int kMostLayers = 1000;

// The graphs of layers that one run of `pulsar2 llm_build` left in a folder, known by their names.
struct AxmodelLayers {
  std::string pattern;   // "qwen2_p128_l%d_together.axmodel", for printf
  std::set<int> layers;  // the numbers that are there
  int prefill = 0;       // rows of the prefill group, 128 above; 0 where the name does not tell

  // With the number in place of %d.
  std::string name_of(int layer) const;
};

// The families of layers among `names`, ordered by pattern. A layer's name is
// [FAMILY_][pROWS_]lNUMBER[_REST].axmodel of letters, digits and "._+-"; others are left out.
std::vector<AxmodelLayers> axmodel_layers(const std::vector<std::string>& names);

// The same of the files in a folder; none where it is none.
std::vector<AxmodelLayers> find_axmodel_layers(const std::filesystem::path& directory);

// Those that a mode json can name: not empty, of letters, digits and "._+-". StackFlow's pattern of
// layers goes through printf, and its units' shell scripts quote nothing.
bool is_plain_name(std::string_view name);

}  // namespace runner
