#include "runner/text/jinja.h"

#include <gtest/gtest.h>

#include <string>

#include "runner/text/jinja_builtins.h"
#include "tests/runner/expect_mentions.h"
#include "tests/runner/text_data.h"

namespace runner {
namespace {

std::string render(const std::string& source) {
  JinjaDict message{{"role", std::string("user")}, {"content", std::string(" a\u3000b \n")}};
  JinjaDict variables{{"text", std::string("one two")},
                      {"m", message},
                      {"list", JinjaList{std::string("x"), std::string("y"), std::string("z")}},
                      {"nothing", JinjaValue::None{}}};
  return JinjaTemplate(source).render(std::move(variables));
}

struct Rendering {
  const char* source;
  const char* expected;
};

// What python3-jinja2 3.1.2 renders with trim_blocks and lstrip_blocks.
TEST(Jinja, LeavesOutTheWhiteSpaceThatJinjaLeavesOut) {
  const Rendering renderings[] = {
      {"a\n", "a"},
      {"a\n\n", "a\n"},
      {"{% if 1 %}\nx\n{% endif %}\ny", "x\ny"},
      {"  {% if 1 %}\n  x\n  {% endif %}\ny", "  x\ny"},
      {"a {% if 1 %} b {% endif %} c", "a  b  c"},
      {"a\n  {%+ if 1 %}b{% endif +%}\nc", "a\n  b\nc"},
      {"a \n {%- if 1 -%} \n b \n {%- endif -%} \n c", "abc"},
      {"a {{ 1 }}\nb", "a 1\nb"},
      {"a {{- 1 -}} \n b", "a1b"},
      {"a\n  {# note #}\nb {#- note -#} c", "a\nbc"},
      {"{% for x in list %}\n{{ x }}\n{% endfor %}", "x\ny\nz\n"},
      {"{{ '}}' }}{{ {} is mapping }}", "}}True"},
  };
  for (const auto& [source, expected] : renderings) EXPECT_EQ(render(source), expected) << source;
}

TEST(Jinja, ComputesWhatJinjaComputes) {
  const Rendering renderings[] = {
      {"{{ 'a' 'b' + \"c\\n\\t\\\\\\'\\q\" }}", "abc\n\t\\'\\q"},
      {"{{ 1 + 2 * 3 - 4 // 2 % 3 }}{{ -2 }}", "5-2"},
      {"{{ 1 ~ 'a' ~ true ~ none ~ missing }}", "1aTrueNone"},
      {"{{ 'a' + text | upper + 'b' }}", "aONE TWOb"},
      {"{{ not 1 == 2 and 1 != 2 or missing.x }}", "True"},
      {"{{ 0 or 'x' and 'y' }}{{ 0 and missing.x }}", "y0"},
      {"{{ 1 < 2 }}{{ 2 <= 1 }}{{ 2 > 1 }}{{ 1 >= 2 }}", "TrueFalseTrueFalse"},
      {"{{ 'a' in 'cat' }}{{ 'q' not in list }}{{ 'role' in m }}", "TrueTrueTrue"},
      {"{{ 'x' if text else 'y' }}{{ 'x' if missing }}{{ 1 if 0 else 2 if 0 else 3 }}", "x3"},
      {"{{ not missing is defined }}{{ nothing is not none }}{{ nothing is defined }}",
       "TrueFalseTrue"},
      {"{{ text is string }}{{ m is mapping }}{{ list is iterable }}{{ 1 is string }}",
       "TrueTrueTrueFalse"},
      {"{{ true is true }}{{ 1 is true }}{{ missing is false }}", "TrueFalseFalse"},
      {"{{ m.role }}{{ m['role'] }}{{ m.missing }}{{ list[0] }}{{ list[-1] }}{{ list[9] }}",
       "useruserxz"},
      {"{% for x in list[1:] %}{{ x }}{% endfor %}{% for x in list[::-1] %}{{ x }}{% endfor %}",
       "yzzyx"},
      {"{% for x in list[:-1] %}{{ x }}{% endfor %}{{ list[-2:][0] }}", "xyy"},
      {"{{ m.content | trim }}|{{ m.content.strip() }}|{{ 'xxaxx'.strip('x') }}",
       "a\u3000b|a\u3000b|a"},
      {"{{ '\n\n \na'.lstrip('\n') }}|{{ 'a \n'.rstrip('\n') }}", " \na|a "},
      {"{{ 'a</think>b</think>c'.split('</think>')[-1] }}{{ 'abc'.split('x') | length }}", "c1"},
      {"{{ text.startswith('one') }}{{ text.endswith('one') }}", "TrueFalse"},
      {"{{ text.replace('o', '0') }}{{ 'aé日' | length }}{{ list | length }}", "0ne tw033"},
      {"{{ missing | default('d') }}{{ '' | default('d') }}{{ '' | default('d', true) }}", "dd"},
      {"{{ m.get('role') }}{{ m.get('x', 'y') }}{{ m.get('x') }}", "useryNone"},
      {"{{ (list | first) ~ (list | last) }}", "xz"},
      {"{% set a = 1 %}{% if a == 2 %}x{% elif a == 1 %}y{% else %}z{% endif %}", "y"},
      {"{% set a = 1 %}{% for x in list %}{% set a = 2 %}{% endfor %}{{ a }}", "1"},
      {"{% set n = namespace(a=1) %}{% for x in list %}{% set n.a = n.a + 1 %}{% endfor %}{{ n.a "
       "}}",
       "4"},
      {"{% for x in list %}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ loop.previtem }} {% "
       "endfor %}",
       "0TrueFalse 1FalseFalsex 2FalseTruey "},
      {"{% for x in [] %}x{% else %}none{% endfor %}{% for x in range(2, 4) %}{{ x }}{% endfor %}",
       "none23"},
      {"{% macro f(a) %}{% if a %}x{% endif %}{% endmacro %}{% generation %}y{% endgeneration %}",
       "y"},
  };
  for (const auto& [source, expected] : renderings) EXPECT_EQ(render(source), expected) << source;
}

TEST(Jinja, WhatPythonTakesForWhiteSpaceIsStripped) {
  EXPECT_EQ(strip_text("\t\n\v\f\r \x1c\x1f\u0085\u00a0\u2003\u3000x\u2028 "), "x");
  EXPECT_EQ(strip_text("\u200b x\ufeff"), "\u200b x\ufeff");
  EXPECT_EQ(strip_text(" \u3000 "), "");
  EXPECT_EQ(strip_text(" x ", false, true), " x");
  EXPECT_EQ(strip_text("\xff \x80"), "\xff \x80") << "broken UTF-8 is no white space";
}

TEST(Jinja, MistakesAndUnknownThingsAreErrors) {
  for (const char* source : {"{{ missing + 'x' }}",
                             "{{ missing.x }}",
                             "{{ 1 + 'x' }}",
                             "{{ list }}",
                             "{{ f() }}",
                             "{{ text[0] }}",
                             "{{ text | nonsense }}",
                             "{{ text.nonsense() }}",
                             "{{ text is nonsense }}",
                             "{{ 1 2 }}",
                             "{{ (1 }}",
                             "{{ [1, [2]] }}",
                             "{{ {'a': 1} }}",
                             "{{ list[::2] }}",
                             "{% for x in list if x %}{% endfor %}",
                             "{% for a, b in list %}{% endfor %}",
                             "{% for x in text %}{% endfor %}",
                             "{% set a, b = list %}",
                             "{% set text.x = 1 %}",
                             "{% raw %}{% endraw %}",
                             "{% if 1 %}",
                             "{% else %}",
                             "{{ 1.5 }}",
                             "{{ 1e }}",
                             "{{ 99999999999999999999 }}",
                             "{{ 2147483647 * 2147483647 * 2 }}",
                             "{{ 'é' | upper }}",
                             "{{ a ? b }}"}) {
    EXPECT_NE(text_data::bad_model([source] { render(source); }), "no Error") << source;
  }
  EXPECT_THROW(render("{{ raise_exception('no') }}"), JinjaRaised);
}

}  // namespace
}  // namespace runner
