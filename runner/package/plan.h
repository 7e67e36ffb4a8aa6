#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "runner/package/parts.h"

namespace runner {

struct PackageOptions {
  PartsWanted wanted;
  std::string name;              // the model's: letters, digits and "._+-"
  std::filesystem::path output;  // the folder of model folders; empty: the one the source is in
  int precompute_len = 0;        // more than 0: a context model
  bool copy = false;             // files instead of links
  bool force = false;            // replaces a description that is there
};

// One thing to do. Files that are in their place already need none.
struct PackageStep {
  enum class Kind { kLink, kCopy, kConvert, kWrite };
  Kind kind = Kind::kLink;
  std::filesystem::path from;  // kWrite: none
  std::filesystem::path to;
  std::uint64_t bytes = 0;  // to be written
  std::string text;         // kWrite: the content
};

// What is to be done to make a model of StackFlow's form of a folder, and what of it was found.
struct PackagePlan {
  PackageParts parts;
  std::filesystem::path directory;  // the model's: OUTPUT/NAME
  std::vector<PackageStep> steps;   // in this order, the description last; empty with problems
  std::vector<std::string> problems;
  std::vector<std::string> notes;  // worth knowing, but not in the way
};

// Looks at everything and changes nothing.
// Throws Error: kBadOption for a name that is none, kNotFound when the source is not a folder.
PackagePlan plan_package(const PackageOptions& options);

// Does it: links and files appear under a temporary name beside theirs and are renamed, so that one
// that was interrupted leaves no half file under a good name, and no model before the description
// is written; starting again goes on where it ended. `progress` is told the fraction of bytes.
// Throws Error(kBadModel) naming the file and the system's reason. REQUIRES: no problems.
void carry_out(const PackagePlan& plan, const std::function<void(double)>& progress);

}  // namespace runner
