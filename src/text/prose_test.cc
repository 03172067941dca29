// SPDX-License-Identifier: Apache-2.0
#include "text/prose.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json.h"
#include "text/python_json.h"
#include "text/templates/recognise.h"

namespace unha {
namespace {

std::vector<std::string> texts(const std::vector<Literal>& literals) {
  std::vector<std::string> list;
  for (const Literal& literal : literals) list.push_back(literal.text);
  return list;
}
using Texts = std::vector<std::string>;

TEST(PythonLiterals, ReadsQuotesPrefixesAndEscapes) {
  EXPECT_EQ(texts(python_literals(R"PY(a = 'x' # 'no'
b = "it's" + r'\n' + b"\x41\u00e9\101\q\
z")PY")),
            (Texts{"x", "it's", "\\n", "A\u00e9A\\qz"}));
  EXPECT_EQ(texts(python_literals("d = '''a\n'b' \\''' c''' ; e = \"\"\"\"\"\"")), (Texts{"a\n'b' ''' c", ""}));
  EXPECT_TRUE(python_literals("f'{x}'")[0].formatted);
  EXPECT_FALSE(python_literals("rf = 1; 'x'")[0].formatted);
  EXPECT_TRUE(python_literals("x = 'open").empty());
  EXPECT_TRUE(python_literals("x = 'open\n'").empty());
  EXPECT_EQ(texts(python_literals("'\\")), Texts{});
  EXPECT_EQ(texts(python_literals("'\\ud800\\U00110000'")), Texts{"\\ud800\\U00110000"});
}

TEST(JinjaLiterals, ReadsTagsAndWhatStandsBetweenThem) {
  EXPECT_EQ(texts(jinja_literals("a{{- 'b\\n' + \"c}}\" -}}d{# 'e' #}{% if x == 'f' %}g{")),
            (Texts{"a", "b\n", "c}}", "d", "f", "g{"}));
  EXPECT_EQ(texts(jinja_literals("{{ 'open")), Texts{});
  EXPECT_EQ(texts(jinja_literals("{# open")), Texts{});
  EXPECT_EQ(texts(jinja_literals("{{ 'two\nlines' ")), Texts{"two\nlines"});
}

constexpr const char* kScript = R"PY(# TOOLS_SYSTEM_TEMPLATE = "not this"
TOOLS_SYSTEM_TEMPLATE_OLD = "nor this"
TOOLS_SYSTEM_TEMPLATE = """Tools: {{x}}
{tool_schemas} {dsml_token}
"""
response_format_template: str = (
    "Keep to "  # a comment
    'it:\n{schema}'
)

def f(content):
    content_developer = ""
    content_developer += "\n\n" + render_tools(tools)
    content_developer += "\n\nSays: {}".format(content)
)PY";

TEST(Prose, ComesFromAnEncodingScript) {
  Prose prose = Prose::from_encoding_script(kScript, "script.py");
  EXPECT_EQ(prose.need("tools", "t"), "Tools: {{x}}\n{tool_schemas} {dsml_token}\n");
  EXPECT_EQ(prose.need("response_format", "t"), "Keep to it:\n{schema}");
  EXPECT_EQ(prose.need("developer", "t"), "\n\nSays: {}");
}

TEST(Prose, ComesFromAJinjaText) {
  Prose prose = Prose::from_jinja("{% if a %}{{ '<|im_start|>system\\nBe brief.<|im_end|>\\n' }}{% endif %}", "t");
  EXPECT_EQ(prose.need("default_system", "t"), "Be brief.");
  EXPECT_EQ(
      Prose::from_jinja("{% if a %}<|im_start|>system\nYes.<|im_end|>\n{% endif %}", "t").need("default_system", "t"),
      "Yes.");
  Prose none = Prose::from_jinja("{{ '<|im_start|>system\\n' + x + '<|im_end|>' }}", "some file");
  try {
    none.need("default_system", "smollm2");
    FAIL() << "there is none";
  } catch (const Error& error) {
    EXPECT_NE(error.message().find("some file"), std::string::npos) << error.message();
    EXPECT_NE(error.hint().find("--prose"), std::string::npos) << error.hint();
  }
}

TEST(Prose, AFileIsToldByWhatIsInIt) {
  EXPECT_EQ(Prose::from_file_text(R"({"default_system": "A"})", "f").need("default_system", "t"), "A");
  EXPECT_EQ(Prose::from_file_text(kScript, "f").need("developer", "t"), "\n\nSays: {}");
  EXPECT_EQ(Prose::from_file_text("{{ '<|im_start|>system\\nB<|im_end|>' }}", "f").need("default_system", "t"), "B");
  EXPECT_EQ(Prose::from_file_text(R"({"chat_template": "{{ '<|im_start|>system\\nC<|im_end|>' }}"})", "f")
                .need("default_system", "t"),
            "C");
  EXPECT_THROW(Prose::from_file_text(R"({"a": 1})", "f"), Error);
  EXPECT_THROW(Prose::from_file_text("{", "f"), Error);
  EXPECT_THROW(Prose::from_file_text("print('hello')", "f"), Error);
  EXPECT_THROW(Prose::from_file_text("", "f"), Error);
}

TEST(Prose, TheFirstOfTwoWins) {
  Prose a, b;
  a.set("tools", "a");
  b.set("tools", "b");
  b.set("developer", "b");
  a.add(b);
  EXPECT_EQ(a.need("tools", "t"), "a");
  EXPECT_EQ(a.need("developer", "t"), "b");
  EXPECT_THROW(a.need("response_format", "t"), Error);
}

TEST(PythonJson, WritesAsPythonDoes) {
  Json json = parse_json(R"({"a":[1,-2,2.5,1e16,1e15,1e-5,0.0001,-0.0,1E5,18446744073709551615],"b":{"c":null,"d":true},
    "e":"\u00e9\"\\/\b\f\n\r\t\u0001\u007f","f":{},"g":[],"h":123456.789e3,"i":1.7976931348623157e308})",
                         "t");
  EXPECT_EQ(
      python_json(json),
      "{\"a\": [1, -2, 2.5, 1e+16, 1000000000000000.0, 1e-05, 0.0001, -0.0, 100000.0, 18446744073709551615], "
      "\"b\": {\"c\": null, \"d\": true}, \"e\": \"\u00e9\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\x7f\", \"f\": {}, \"g\": [], "
      "\"h\": 123456789.0, \"i\": 1.7976931348623157e+308}");
}

TEST(JinjaDigest, LooksAtWhatATextDoesAlone) {
  std::string plain = "{% if a %}{{ 'x\\n' + b }}{% endif %}";
  EXPECT_EQ(jinja_digest(plain), jinja_digest("{# by me #}{%- if a -%}\n  {{- \"x\n\"+b }}\n{% endif %}\n"));
  EXPECT_NE(jinja_digest(plain), jinja_digest("{% if a %}{{ 'x' + b }}{% endif %}"));
  EXPECT_NE(jinja_digest(plain), jinja_digest("{% if a %}{{ 'x\\n' - b }}{% endif %}"));
  EXPECT_NE(jinja_digest(plain), jinja_digest("{% if a %}{{ 'x\\n' + b }}.{% endif %}"));
  EXPECT_FALSE(recognise_jinja(plain).has_value());
}

}  // namespace
}  // namespace unha
