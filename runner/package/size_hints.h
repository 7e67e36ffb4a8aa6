#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace runner {

// What a file beside a model's graphs says of their sizes; 0 where it says nothing.
struct SizeHint {
  std::string source;  // the file, for messages
  int layers = 0;
  int rows = 0;    // of the embedding table: the vocabulary, padding included
  int hidden = 0;  // values of a row
  std::string model_type;
};

// Of the files in a folder, by name: config.json (HuggingFace's keys, or those of AXERA's ax-llm,
// which are StackFlow's), mode_*.json, and each *.sh that starts ax-llm with --tokens_embed_size,
// --tokens_embed_num and --axmodel_num; then of the mode json elsewhere that describes the folder
// as a model (M5Stack's stand in models/ beside it). Files that say nothing of these are left out;
// what is wrong with a file that cannot be read is added to `problems`.
std::vector<SizeHint> read_size_hints(const std::filesystem::path& directory,
                                      std::vector<std::string>& problems);

}  // namespace runner
