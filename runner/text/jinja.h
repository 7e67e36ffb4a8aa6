#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runner/text/jinja_lexer.h"
#include "runner/text/jinja_value.h"

namespace runner {

// A template in the part of Jinja that chat templates are written in: if, for, set, namespaces,
// the operators, and the filters, methods and tests of jinja_builtins.h. Macros may be there but
// not be called. Anything else is an error once it is reached, never ignored. Jinja 3.1 with
// trim_blocks and lstrip_blocks is the measure. Work and memory are bounded. Immutable.
class JinjaTemplate {
 public:
  // Throws Error(kBadModel) saying what is wrong.
  explicit JinjaTemplate(std::string_view source);

  // The text with these variables. Throws Error(kBadModel) for what is not known here, JinjaRaised
  // where the template calls raise_exception().
  std::string render(JinjaDict variables) const;

  struct Node {
    enum class Kind { kText, kOutput, kIf, kFor, kSet, kUnknown };
    Kind kind;
    std::string text;                // of kText; the variable of kFor and kSet; what is unknown
    std::string member;              // of kSet: a member of a namespace
    std::vector<JinjaToken> tokens;  // the expression
    std::vector<Node> body;
    std::vector<Node> otherwise;  // of kIf, kFor
  };

 private:
  std::vector<Node> nodes_;
};

}  // namespace runner
