#pragma once

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runner/engine.h"
#include "runner/mode_params.h"

// What a scripted model answers. tests/scripted/README.md describes the file.
namespace scripted {

using runner::TokenId;
using std::chrono::milliseconds;

// Tokens below 256 are bytes.
inline constexpr TokenId kSystem = 256;
inline constexpr TokenId kTurn = 257;
inline constexpr TokenId kAnswer = 258;
inline constexpr TokenId kEnd = 259;
inline constexpr TokenId kStamp = 260;   // becomes the time at which it is decoded
inline constexpr TokenId kCounts = 261;  // becomes the counts of engine calls so far
inline constexpr TokenId kFirstPiece = 1000;

inline constexpr int kMinHidden = 8;

// Waits before step `at` of an answer until `file` is in the model's folder.
struct Gate {
  std::string file;
  int at = 0;
};

struct Rule {
  enum class Match { kAlways, kExact, kContains };
  enum class Kind { kPieces, kEcho, kDescription, kTranscript, kCallCounts, kStamps };

  Match match = Match::kAlways;
  std::string pattern;
  Kind kind = Kind::kPieces;
  std::vector<TokenId> pieces;  // kPieces
  int echo_bytes = 1;           // kEcho: bytes per piece
  int stamps = 0;               // kStamps
  int repeat = 1;               // kPieces: how often all of them
  milliseconds prefill_delay{0};
  milliseconds decode_delay{0};
  std::vector<Gate> gates;
  std::optional<std::string> fail_prefill;
  int fail_decode_at = -1;
  std::string fail_decode;

  bool matches(std::string_view user) const {
    switch (match) {
      case Match::kAlways:
        return true;
      case Match::kExact:
        return user == pattern;
      case Match::kContains:
        return user.find(pattern) != std::string_view::npos;
    }
    return false;
  }
};

struct Script {
  std::filesystem::path folder;
  int context = 256;
  int hidden = kMinHidden;
  runner::ModeParams mode_param;
  milliseconds load_delay{0};
  std::string load_gate;
  std::string load_error;
  bool out_of_memory = false;
  std::vector<Rule> rules;
  std::vector<std::string> pieces;  // bytes of token kFirstPiece + index

  // Ids of an echo's pieces, one per step, stand behind those of the script.
  TokenId first_echo() const { return kFirstPiece + static_cast<TokenId>(pieces.size()); }
  int vocab() const { return first_echo() + context; }

  // The first rule for a user's text; null if there is none.
  const Rule* find_rule(std::string_view user) const {
    const auto rule = std::find_if(rules.begin(), rules.end(),
                                   [&](const Rule& candidate) { return candidate.matches(user); });
    return rule == rules.end() ? nullptr : &*rule;
  }
};

// Reads `folder`/script.json. Throws runner::Error(kBadModel) naming the file, the place in it and
// what is wrong; an unknown key is wrong.
Script read_script(const std::filesystem::path& folder);

}  // namespace scripted
