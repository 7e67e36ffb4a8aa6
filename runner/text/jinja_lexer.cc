#include "runner/text/jinja_lexer.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <utility>

#include "runner/text/jinja_value.h"

namespace runner {
namespace {

bool is_jinja_space(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }
bool starts_name(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool continues_name(char c) { return starts_name(c) || is_digit(c); }

class JinjaLexer {
 public:
  explicit JinjaLexer(std::string_view source) : source_(source) {
    if (source_.ends_with('\n')) source_.remove_suffix(1);
  }

  std::vector<JinjaSegment> cut() {
    while (at_ < source_.size()) {
      const std::size_t tag = find_tag();
      add_text(tag);
      if (at_ < source_.size()) read_tag();
    }
    return std::move(segments_);
  }

 private:
  std::size_t find_tag() const {
    for (std::size_t i = at_; i + 1 < source_.size(); ++i) {
      if (source_[i] != '{') continue;
      const char next = source_[i + 1];
      if (next == '{' || next == '%' || next == '#') return i;
    }
    return source_.size();
  }

  // The text up to `end`, less the white space that the tag there takes.
  void add_text(std::size_t end) {
    std::string_view text = source_.substr(at_, end - at_);
    const bool at_line_start = at_ == 0 || source_[at_ - 1] == '\n';
    at_ = end;
    const char kind = end < source_.size() ? source_[end + 1] : '\0';
    const char sign = end + 2 < source_.size() ? source_[end + 2] : '\0';
    if (kind != '\0' && sign == '-') {
      while (!text.empty() && is_jinja_space(text.back())) text.remove_suffix(1);
    } else if ((kind == '%' || kind == '#') && sign != '+') {
      std::size_t line = text.size();
      while (line > 0 && (text[line - 1] == ' ' || text[line - 1] == '\t')) --line;
      if (line > 0 ? text[line - 1] == '\n' : at_line_start) text = text.substr(0, line);
    }
    if (!text.empty()) {
      segments_.push_back({JinjaSegment::Kind::kText, std::string(text), {}});
    }
  }

  void read_tag() {
    const char kind = source_[at_ + 1];
    at_ += 2;
    if (kind == '#') {
      const std::size_t end = source_.find("#}", at_);
      if (end == std::string_view::npos) fail_jinja("a comment is not closed");
      const bool takes_space = end > at_ && source_[end - 1] == '-';
      at_ = end + 2;
      return skip_space(takes_space, true);
    }
    if (at_ < source_.size() && (source_[at_] == '-' || source_[at_] == '+')) ++at_;
    JinjaSegment segment{
        kind == '{' ? JinjaSegment::Kind::kOutput : JinjaSegment::Kind::kStatement, {}, {}};
    const std::string_view closing = kind == '{' ? "}}" : "%}";
    int open_braces = 0;
    for (;;) {
      while (at_ < source_.size() && is_jinja_space(source_[at_])) ++at_;
      if (at_ >= source_.size()) fail_jinja("a {" + std::string(1, kind) + " is not closed");
      const char sign = source_[at_];
      const bool signed_end = (sign == '-' || sign == '+') && closes(at_ + 1, closing);
      if (open_braces == 0 && (signed_end || closes(at_, closing))) {
        at_ += signed_end ? 3 : 2;
        segments_.push_back(std::move(segment));
        return skip_space(signed_end && sign == '-', kind == '%' && !(signed_end && sign == '+'));
      }
      JinjaToken token = read_token();
      if (token.kind == JinjaToken::Kind::kOperator) {
        open_braces += token.text == "{" ? 1 : token.text == "}" ? -1 : 0;
      }
      segment.tokens.push_back(std::move(token));
    }
  }

  bool closes(std::size_t at, std::string_view closing) const {
    return source_.substr(std::min(at, source_.size()), 2) == closing;
  }

  // Behind a tag: all white space, or else one new line where `one_line`.
  void skip_space(bool all, bool one_line) {
    if (all) {
      while (at_ < source_.size() && is_jinja_space(source_[at_])) ++at_;
    } else if (one_line && at_ < source_.size() && source_[at_] == '\n') {
      ++at_;
    }
  }

  JinjaToken read_token() {
    const char first = source_[at_];
    const std::size_t start = at_;
    if (first == '\'' || first == '"') return {JinjaToken::Kind::kString, read_string()};
    if (starts_name(first) || is_digit(first)) {
      while (at_ < source_.size() && continues_name(source_[at_])) ++at_;
      const auto kind = is_digit(first) ? JinjaToken::Kind::kNumber : JinjaToken::Kind::kName;
      return {kind, std::string(source_.substr(start, at_ - start))};
    }
    constexpr std::array<std::string_view, 6> kPairs{"==", "!=", "<=", ">=", "//", "**"};
    const std::string_view pair = source_.substr(at_, 2);
    const bool is_pair = std::find(kPairs.begin(), kPairs.end(), pair) != kPairs.end();
    constexpr std::string_view kSingle = "()[]{}.,:|+-~*/%<>=";
    if (!is_pair && kSingle.find(first) == std::string_view::npos) {
      fail_jinja("\"" + std::string(1, first) + "\" is not expected");
    }
    at_ += is_pair ? 2 : 1;
    return {JinjaToken::Kind::kOperator, std::string(source_.substr(start, at_ - start))};
  }

  std::string read_string() {
    const char quote = source_[at_++];
    std::string text;
    for (; at_ < source_.size() && source_[at_] != quote; ++at_) {
      if (source_[at_] != '\\' || at_ + 1 == source_.size()) {
        text += source_[at_];
      } else {
        append_escaped(source_[++at_], text);
      }
    }
    if (at_ >= source_.size()) fail_jinja("a string is not closed");
    ++at_;
    return text;
  }

  static void append_escaped(char escaped, std::string& text) {
    constexpr std::string_view kLetters = "ntrabfv\\'\"";
    constexpr std::string_view kMeanings = "\n\t\r\a\b\f\v\\'\"";
    if (const auto known = kLetters.find(escaped); known != std::string_view::npos) {
      text += kMeanings[known];
    } else if (escaped == 'x' || escaped == 'u' || escaped == 'U' || escaped == 'N' ||
               is_digit(escaped)) {
      fail_jinja("\"\\" + std::string(1, escaped) + "\" in a string is not supported");
    } else if (escaped != '\n') {  // a new line that is escaped is none
      (text += '\\') += escaped;
    }
  }

  std::string_view source_;
  std::size_t at_ = 0;
  std::vector<JinjaSegment> segments_;
};

}  // namespace

std::vector<JinjaSegment> cut_jinja(std::string_view source) { return JinjaLexer(source).cut(); }

}  // namespace runner
