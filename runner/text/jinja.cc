#include "runner/text/jinja.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "runner/text/jinja_builtins.h"
#include "runner/text/jinja_expression.h"

namespace runner {
namespace {

using Node = JinjaTemplate::Node;
using Nodes = std::vector<Node>;

constexpr int kMostNesting = 100;
constexpr int kMostSteps = 10000;  // a real template takes some hundreds for a probe

class TreeBuilder {
 public:
  explicit TreeBuilder(std::vector<JinjaSegment> segments) : segments_(std::move(segments)) {}

  Nodes build() {
    Nodes nodes = read_until({});
    if (at_ != segments_.size()) fail_jinja("{% " + word() + " %} closes nothing");
    return nodes;
  }

 private:
  bool is_statement() const { return segments_[at_].kind == JinjaSegment::Kind::kStatement; }
  std::vector<JinjaToken>& tokens() { return segments_[at_].tokens; }
  // The first word of the statement here.
  std::string word() const {
    const auto& tokens = segments_[at_].tokens;
    return tokens.empty() ? "" : tokens.front().text;
  }

  // Up to a statement that starts with one of `ends`, or to the end of all where there are none.
  Nodes read_until(std::initializer_list<std::string_view> ends) {
    if (++nesting_ > kMostNesting) fail_jinja("blocks are nested too deeply");
    Nodes nodes;
    for (; at_ < segments_.size(); ++at_) {
      JinjaSegment& segment = segments_[at_];
      if (!is_statement()) {
        const bool is_text = segment.kind == JinjaSegment::Kind::kText;
        nodes.push_back({is_text ? Node::Kind::kText : Node::Kind::kOutput,
                         segment.text,
                         "",
                         segment.tokens,
                         {},
                         {}});
        continue;
      }
      const std::string name = word();
      if (std::find(ends.begin(), ends.end(), name) != ends.end()) break;
      if (name == "if") {
        nodes.push_back(read_if());
      } else if (name == "for") {
        nodes.push_back(read_for());
      } else if (name == "set") {
        nodes.push_back(read_set());
      } else if (name == "macro") {
        skip_macro();
      } else if (name == "break" || name == "continue") {
        nodes.push_back(unknown("{% " + name + " %}"));
      } else if (name != "generation" && name != "endgeneration") {  // marks for training
        fail_jinja("{% " + name + " %} is not expected or not supported");
      }
    }
    if (ends.size() > 0 && at_ == segments_.size()) {
      fail_jinja("{% " + std::string(*(ends.end() - 1)) + " %} is missing");
    }
    --nesting_;
    return nodes;
  }

  // From {% if %} or {% elif %} to {% endif %}.
  Node read_if() {
    Node node{Node::Kind::kIf, "", "", {tokens().begin() + 1, tokens().end()}, {}, {}};
    ++at_;
    node.body = read_until({"elif", "else", "endif"});
    if (word() == "elif") {
      if (++nesting_ > kMostNesting) fail_jinja("too many {% elif %}");
      node.otherwise.push_back(read_if());
      --nesting_;
    } else if (word() == "else") {
      ++at_;
      node.otherwise = read_until({"endif"});
    }
    return node;
  }

  Node read_for() {
    auto& words = tokens();
    const bool is_plain = words.size() > 3 && words[1].kind == JinjaToken::Kind::kName &&
                          words[2].text == "in" &&
                          std::none_of(words.begin(), words.end(), [](const JinjaToken& token) {
                            return token.kind == JinjaToken::Kind::kName && token.text == "if";
                          });
    Node node = unknown("a {% for %} other than \"for NAME in LIST\"");
    if (is_plain)
      node = {Node::Kind::kFor, words[1].text, "", {words.begin() + 3, words.end()}, {}, {}};
    ++at_;
    node.body = read_until({"else", "endfor"});
    if (word() == "else") {
      ++at_;
      node.otherwise = read_until({"endfor"});
    }
    return node;
  }

  Node read_set() {
    auto& words = tokens();
    const bool is_member = words.size() > 5 && words[2].text == ".";
    const std::size_t equals = is_member ? 4 : 2;
    if (words.size() < equals + 2 || words[equals].text != "=") {
      const bool is_block = words.size() == 2 || (words.size() > 2 && words[2].text == "|");
      if (is_block) {
        ++at_;
        read_until({"endset"});
      }
      return unknown("a {% set %} other than \"set NAME = VALUE\"");
    }
    const auto value = words.begin() + static_cast<std::ptrdiff_t>(equals) + 1;
    return {Node::Kind::kSet,
            words[1].text,
            is_member ? words[3].text : "",
            {value, words.end()},
            {},
            {}};
  }

  static Node unknown(std::string what) {
    return {Node::Kind::kUnknown, std::move(what), "", {}, {}, {}};
  }

  void skip_macro() {
    while (at_ < segments_.size() && !(is_statement() && word() == "endmacro")) ++at_;
    if (at_ == segments_.size()) fail_jinja("{% endmacro %} is missing");
  }

  std::vector<JinjaSegment> segments_;
  std::size_t at_ = 0;
  int nesting_ = 0;
};

class Renderer {
 public:
  explicit Renderer(JinjaDict variables) {
    scopes_.push_back(jinja_globals());
    scopes_.push_back(std::move(variables));
    scopes_.emplace_back();
  }

  void run(const Nodes& nodes) {
    for (const Node& node : nodes) {
      if (++steps_ > kMostSteps) fail_jinja("it takes too many steps");
      run(node);
    }
  }

  std::string take_text() { return std::move(text_); }

 private:
  JinjaValue evaluate(const Node& node) const {
    return evaluate_jinja(node.tokens, [this](std::string_view name) { return look_up(name); });
  }

  JinjaValue look_up(std::string_view name) const {
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
      if (const auto found = scope->find(name); found != scope->end()) return found->second;
    }
    return {};
  }

  void run(const Node& node) {
    switch (node.kind) {
      case Node::Kind::kText:
        text_ = checked_text(std::move(text_) + node.text);
        break;
      case Node::Kind::kOutput:
        text_ = checked_text(std::move(text_) + to_output(evaluate(node)));
        break;
      case Node::Kind::kIf:
        run(evaluate(node).is_true() ? node.body : node.otherwise);
        break;
      case Node::Kind::kFor:
        run_for(node);
        break;
      case Node::Kind::kSet:
        set(node);
        break;
      case Node::Kind::kUnknown:
        fail_jinja(node.text + " is not supported");
    }
  }

  void set(const Node& node) {
    JinjaValue value = evaluate(node);
    if (node.member.empty()) {
      scopes_.back()[node.text] = std::move(value);
      return;
    }
    const JinjaValue space = look_up(node.text);
    const auto* dict = space.get<std::shared_ptr<JinjaDict>>();
    if (dict == nullptr) fail_jinja("\"" + node.text + "\" is no namespace");
    check_simple(value);
    (**dict)[node.member] = std::move(value);
  }

  void run_for(const Node& node) {
    const JinjaValue value = evaluate(node);
    const JinjaList* list = value.list();
    if (list == nullptr && !value.is_undefined()) fail_jinja("{% for %} over something not a list");
    if (list == nullptr || list->empty()) return run(node.otherwise);
    for (std::size_t i = 0; i < list->size(); ++i) {
      if (++steps_ > kMostSteps) fail_jinja("it takes too many steps");
      scopes_.push_back({{node.text, (*list)[i]}, {"loop", loop_at(*list, i)}});
      run(node.body);
      scopes_.pop_back();
    }
  }

  static JinjaValue loop_at(const JinjaList& list, std::size_t i) {
    const auto number = [](std::size_t count) {
      return JinjaValue(static_cast<std::int64_t>(count));
    };
    JinjaDict loop{{"index0", number(i)},
                   {"index", number(i + 1)},
                   {"revindex0", number(list.size() - 1 - i)},
                   {"revindex", number(list.size() - i)},
                   {"length", number(list.size())},
                   {"first", JinjaValue::of_bool(i == 0)},
                   {"last", JinjaValue::of_bool(i + 1 == list.size())}};
    if (i > 0) loop["previtem"] = list[i - 1];
    if (i + 1 < list.size()) loop["nextitem"] = list[i + 1];
    return loop;
  }

  std::vector<JinjaDict> scopes_;  // innermost last
  std::string text_;
  int steps_ = 0;
};

}  // namespace

JinjaTemplate::JinjaTemplate(std::string_view source)
    : nodes_(TreeBuilder(cut_jinja(source)).build()) {}

std::string JinjaTemplate::render(JinjaDict variables) const {
  Renderer renderer(std::move(variables));
  renderer.run(nodes_);
  return renderer.take_text();
}

}  // namespace runner
