#include "runner/text/jinja_expression.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "runner/text/jinja_builtins.h"

namespace runner {
namespace {

using Kind = JinjaToken::Kind;

constexpr int kMostDepth = 100;

// Recursive descent in Jinja's order of precedence, loosest first. What a condition rules out is
// read without being computed: `live_` is false there, and every value undefined.
class JinjaEvaluator {
 public:
  JinjaEvaluator(std::span<const JinjaToken> tokens,
                 const std::function<JinjaValue(std::string_view)>& look_up)
      : tokens_(tokens), look_up_(look_up) {}

  JinjaValue evaluate_all() {
    JinjaValue value = read_choice();
    if (at_ != tokens_.size()) fail_jinja("\"" + tokens_[at_].text + "\" is not expected");
    return value;
  }

 private:
  struct Depth {
    explicit Depth(int& counter) : depth(counter) {
      if (++depth > kMostDepth) fail_jinja("an expression is nested too deeply");
    }
    ~Depth() { --depth; }
    int& depth;
  };

  bool is_at(Kind kind, std::string_view text) const {
    return at_ < tokens_.size() && tokens_[at_].kind == kind && tokens_[at_].text == text;
  }
  bool take(Kind kind, std::string_view text) {
    if (!is_at(kind, text)) return false;
    ++at_;
    return true;
  }
  bool take_word(std::string_view word) { return take(Kind::kName, word); }
  bool take_sign(std::string_view sign) { return take(Kind::kOperator, sign); }
  void expect_sign(std::string_view sign) {
    if (!take_sign(sign)) fail_jinja("\"" + std::string(sign) + "\" is missing");
  }
  const JinjaToken& next() {
    if (at_ >= tokens_.size()) fail_jinja("an expression ends too early");
    return tokens_[at_++];
  }
  std::string expect_name() {
    const JinjaToken& token = next();
    if (token.kind != Kind::kName) fail_jinja("a name is missing before \"" + token.text + "\"");
    return token.text;
  }

  // Reads with `work`, computing only if `wanted` and where this whole expression is computed.
  template <typename Work>
  JinjaValue read_if(bool wanted, const Work& work) {
    const bool before = std::exchange(live_, live_ && wanted);
    JinjaValue value = work();
    live_ = before;
    return value;
  }

  // value if condition else other
  JinjaValue read_choice() {
    const Depth depth(depth_);
    JinjaValue value = read_or();
    if (!take_word("if")) return value;
    const bool chosen = read_or().is_true();
    JinjaValue other;
    if (take_word("else")) other = read_if(!chosen, [this] { return read_choice(); });
    return chosen ? value : other;
  }

  JinjaValue read_or() {
    JinjaValue left = read_and();
    while (take_word("or")) {
      const bool decided = left.is_true();
      JinjaValue right = read_if(!decided, [this] { return read_and(); });
      if (!decided) left = std::move(right);
    }
    return left;
  }

  JinjaValue read_and() {
    JinjaValue left = read_not();
    while (take_word("and")) {
      const bool decided = !left.is_true();
      JinjaValue right = read_if(!decided, [this] { return read_not(); });
      if (!decided) left = std::move(right);
    }
    return left;
  }

  JinjaValue read_not() {
    const Depth depth(depth_);
    if (take_word("not")) return JinjaValue::of_bool(!read_not().is_true());
    return read_comparison();
  }

  JinjaValue read_comparison() {
    JinjaValue left = read_sum();
    for (;;) {
      if (take_sign("==")) {
        const JinjaValue right = read_sum();
        left = compute([&] { return JinjaValue::of_bool(is_equal(left, right)); });
      } else if (take_sign("!=")) {
        const JinjaValue right = read_sum();
        left = compute([&] { return JinjaValue::of_bool(!is_equal(left, right)); });
      } else if (take_word("in")) {
        const JinjaValue right = read_sum();
        left = compute([&] { return JinjaValue::of_bool(is_in(left, right)); });
      } else if (is_at(Kind::kName, "not") && at_ + 1 < tokens_.size() &&
                 tokens_[at_ + 1].text == "in") {
        at_ += 2;
        const JinjaValue right = read_sum();
        left = compute([&] { return JinjaValue::of_bool(!is_in(left, right)); });
      } else if (const std::string sign = take_one_of({"<=", ">=", "<", ">"}); !sign.empty()) {
        const JinjaValue right = read_sum();
        left = compute([&] { return compare(left, sign, right); });
      } else {
        return left;
      }
    }
  }

  std::string take_one_of(std::initializer_list<std::string_view> signs) {
    for (const std::string_view sign : signs) {
      if (take_sign(sign)) return std::string(sign);
    }
    return "";
  }

  template <typename Work>
  JinjaValue compute(const Work& work) const {
    return live_ ? work() : JinjaValue();
  }

  static std::int64_t number_of(const JinjaValue& value) {
    const auto* number = value.get<std::int64_t>();
    if (number == nullptr) fail_jinja("a number is missing");
    if (*number > INT32_MAX || *number < INT32_MIN) fail_jinja("a number is too large");
    return *number;
  }

  static JinjaValue compare(const JinjaValue& left, std::string_view sign,
                            const JinjaValue& right) {
    const std::int64_t order = number_of(left) - number_of(right);
    return JinjaValue::of_bool(sign == "<"    ? order < 0
                               : sign == ">"  ? order > 0
                               : sign == "<=" ? order <= 0
                                              : order >= 0);
  }

  JinjaValue read_sum() {
    JinjaValue left = read_joined();
    for (;;) {
      const std::string sign = take_one_of({"+", "-"});
      if (sign.empty()) return left;
      const JinjaValue right = read_joined();
      left = compute([&]() -> JinjaValue {
        if (sign == "+" && left.text() != nullptr && right.text() != nullptr) {
          return checked_text(*left.text() + *right.text());
        }
        return sign == "+" ? number_of(left) + number_of(right)
                           : number_of(left) - number_of(right);
      });
    }
  }

  JinjaValue read_joined() {
    JinjaValue left = read_product();
    while (take_sign("~")) {
      const JinjaValue right = read_product();
      left = compute([&] { return checked_text(to_output(left) + to_output(right)); });
    }
    return left;
  }

  JinjaValue read_product() {
    JinjaValue left = read_unary();
    for (;;) {
      const std::string sign = take_one_of({"*", "//", "%"});
      if (sign.empty()) return left;
      const JinjaValue right = read_unary();
      left = compute([&]() -> JinjaValue {
        const std::int64_t by = number_of(right);
        if (sign == "*") return number_of(left) * by;
        if (by <= 0 || number_of(left) < 0) fail_jinja("a division that is not supported");
        return sign == "%" ? number_of(left) % by : number_of(left) / by;
      });
    }
  }

  JinjaValue read_unary() {
    const Depth depth(depth_);
    if (take_sign("-")) {
      const JinjaValue value = read_unary();
      return compute([&]() -> JinjaValue { return -number_of(value); });
    }
    JinjaValue value = read_members(read_primary());
    for (;;) {
      if (take_sign("|")) {
        const std::string name = expect_name();
        const JinjaCall call = is_at(Kind::kOperator, "(") ? read_call() : JinjaCall{};
        value = compute([&] { return apply_filter(value, name, call); });
      } else if (take_word("is")) {
        const bool negated = take_word("not");
        const std::string name = expect_name();
        value = compute([&] {
          const std::string known = name == "None" ? "none" : name == "True" ? "true" : name;
          return JinjaValue::of_bool(passes_test(value, known) != negated);
        });
      } else {
        return value;
      }
    }
  }

  JinjaCall read_call() {
    JinjaCall call;
    expect_sign("(");
    while (!take_sign(")")) {
      const bool is_named = at_ + 1 < tokens_.size() && tokens_[at_].kind == Kind::kName &&
                            tokens_[at_ + 1].kind == Kind::kOperator &&
                            tokens_[at_ + 1].text == "=";
      const std::string name = is_named ? expect_name() : "";
      if (is_named) ++at_;
      JinjaValue value = read_choice();
      if (is_named) {
        call.named[name] = std::move(value);
      } else {
        call.positional.push_back(std::move(value));
      }
      if (!take_sign(",") && !is_at(Kind::kOperator, ")")) fail_jinja("\")\" is missing");
    }
    return call;
  }

  // value.name, value.name(…), value[…], value(…)
  JinjaValue read_members(JinjaValue value) {
    for (;;) {
      if (take_sign(".")) {
        const std::string name = expect_name();
        if (is_at(Kind::kOperator, "(")) {
          const JinjaCall call = read_call();
          value = compute([&] { return call_method(value, name, call); });
        } else {
          value = compute([&] { return member(value, name); });
        }
      } else if (take_sign("[")) {
        value = read_item(value);
      } else if (is_at(Kind::kOperator, "(")) {
        const JinjaCall call = read_call();
        value = compute([&] {
          if (value.function() == nullptr) fail_jinja("calling something that is no function");
          return (*value.function())(call);
        });
      } else {
        return value;
      }
    }
  }

  static JinjaValue member(const JinjaValue& object, const std::string& name) {
    if (object.is_undefined()) fail_jinja("\"" + name + "\" of something undefined");
    const JinjaDict* dict = object.dict();
    if (dict == nullptr) return {};
    const auto found = dict->find(name);
    return found != dict->end() ? found->second : JinjaValue();
  }

  // What stands in [ ]: a key, an index or a slice.
  JinjaValue read_item(const JinjaValue& object) {
    std::optional<JinjaValue> bounds[3];
    int given = 0;
    for (; given < 3; ++given) {
      if (!is_at(Kind::kOperator, ":") && !is_at(Kind::kOperator, "]"))
        bounds[given] = read_choice();
      if (!take_sign(":")) break;
    }
    expect_sign("]");
    return compute([&]() -> JinjaValue {
      if (given > 0) return slice(object, bounds);
      if (!bounds[0]) fail_jinja("[] without an index");
      if (const std::string* key = bounds[0]->text()) return member(object, *key);
      const JinjaList* list = object.list();
      if (list == nullptr) fail_jinja("an index into something that is no list");
      const std::int64_t index = number_of(*bounds[0]);
      const auto count = static_cast<std::int64_t>(list->size());
      const std::int64_t place = index < 0 ? index + count : index;
      return place >= 0 && place < count ? (*list)[static_cast<std::size_t>(place)] : JinjaValue();
    });
  }

  static JinjaValue slice(const JinjaValue& object, const std::optional<JinjaValue> (&bounds)[3]) {
    const JinjaList* list = object.list();
    if (list == nullptr) fail_jinja("a slice of something that is no list");
    const auto count = static_cast<std::int64_t>(list->size());
    const std::int64_t step = bounds[2] ? number_of(*bounds[2]) : 1;
    if (step == -1 && !bounds[0] && !bounds[1]) return JinjaList(list->rbegin(), list->rend());
    if (step != 1) fail_jinja("a slice like this is not supported");
    const auto place = [&](const std::optional<JinjaValue>& bound, std::int64_t otherwise) {
      if (!bound || bound->is_none()) return otherwise;
      const std::int64_t at = number_of(*bound);
      return std::clamp<std::int64_t>(at < 0 ? at + count : at, 0, count);
    };
    const std::int64_t first = place(bounds[0], 0);
    const std::int64_t last = std::max(first, place(bounds[1], count));
    return JinjaList(list->begin() + first, list->begin() + last);
  }

  JinjaValue read_primary() {
    const JinjaToken& token = next();
    if (token.kind == Kind::kString) {
      std::string text = token.text;
      while (at_ < tokens_.size() && tokens_[at_].kind == Kind::kString) text += next().text;
      return text;
    }
    if (token.kind == Kind::kNumber) return read_number(token.text);
    if (token.kind == Kind::kName) return read_name(token.text);
    if (token.text == "(") {
      JinjaValue value = read_choice();
      expect_sign(")");
      return value;
    }
    if (token.text == "[") {
      JinjaList list;
      while (!take_sign("]")) {
        list.push_back(read_choice());
        check_simple(list.back());
        if (list.back().list() != nullptr) fail_jinja("a list of lists is not supported");
        if (!take_sign(",") && !is_at(Kind::kOperator, "]")) fail_jinja("\"]\" is missing");
      }
      return list;
    }
    if (token.text == "{" && take_sign("}")) return JinjaDict();
    fail_jinja("\"" + token.text + "\" is not expected");
  }

  static JinjaValue read_number(const std::string& digits) {
    std::int64_t number = 0;
    const char* end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, number);
    if (error != std::errc() || stop != end) fail_jinja("the number " + digits);
    return number;
  }

  JinjaValue read_name(const std::string& name) const {
    if (name == "true" || name == "True") return JinjaValue::of_bool(true);
    if (name == "false" || name == "False") return JinjaValue::of_bool(false);
    if (name == "none" || name == "None") return JinjaValue::None{};
    return live_ ? look_up_(name) : JinjaValue();
  }

  std::span<const JinjaToken> tokens_;
  const std::function<JinjaValue(std::string_view)>& look_up_;
  std::size_t at_ = 0;
  int depth_ = 0;
  bool live_ = true;
};

}  // namespace

JinjaValue evaluate_jinja(std::span<const JinjaToken> tokens,
                          const std::function<JinjaValue(std::string_view name)>& look_up) {
  return JinjaEvaluator(tokens, look_up).evaluate_all();
}

}  // namespace runner
