// SPDX-License-Identifier: Apache-2.0
#include "text/regex.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace unha {
namespace {

std::vector<std::string> matches(std::string_view pattern, const std::string& text) {
  RegexScratch scratch;
  std::vector<Span> spans;
  Regex(pattern, "test").find_all(text, scratch, spans);
  std::vector<std::string> found;
  for (const Span& s : spans) found.push_back(text.substr(s.begin, s.end - s.begin));
  return found;
}
using List = std::vector<std::string>;

TEST(Regex, WhiteSpaceIsThatOfOniguruma) {
  // U+0085 and U+3000 are white space, U+180E is not (PCRE2's own \s says otherwise).
  EXPECT_EQ(matches(R"(\s)", "a\u0085b\u3000c\u180ed "), (List{"\u0085", "\u3000", " "}));
  EXPECT_EQ(matches(R"([^\s]+)", "a\u180eb c"), (List{"a\u180eb", "c"}));
  EXPECT_EQ(matches(R"([\S]+)", "a\u180eb c"), (List{"a\u180eb", "c"}));
  EXPECT_EQ(matches(R"(\S+)", "a\u180eb c"), (List{"a\u180eb", "c"}));
}

TEST(Regex, ReadsRubySyntax) {
  EXPECT_EQ(matches(R"(\s+$)", "a  \nb "), (List{"  ", " "}));
  EXPECT_EQ(matches("^b", "a\nb"), (List{"b"}));
  EXPECT_EQ(matches("(?m:a.b)", "a\nb"), (List{"a\nb"}));
  EXPECT_EQ(matches("a.b", "a\nb"), (List{}));
  EXPECT_EQ(matches("a{,2}b", "aaab"), (List{"aab"}));
  EXPECT_EQ(matches("a{x", "a{x"), (List{"a{x"}));
  EXPECT_EQ(matches(R"(\v)", "\v\n"), (List{"\v"}));
  EXPECT_EQ(matches(R"(\u0041\x42\x{1F600})", "AB😀"), (List{"AB😀"}));
  EXPECT_EQ(matches(R"([a-\d])", "-5bA"), (List{"-", "5"}));
  EXPECT_EQ(matches(R"([\s-x])", "-x ."), (List{"-", "x", " "}));
  EXPECT_EQ(matches(R"(\p{Han}+)", "漢字かな"), (List{"漢字"}));
  EXPECT_EQ(matches(R"(\p{^L}+)", "ab12"), (List{"12"}));
  EXPECT_EQ(matches(R"((?i:'s|'LL))", "'S'll"), (List{"'S", "'ll"}));
  EXPECT_EQ(matches(R"(\h+)", "xyzBEEF"), (List{"BEEF"}));
  EXPECT_EQ(matches(R"(\w+)", "a_Ⓐ-b"), (List{"a_Ⓐ", "b"}));
}

TEST(Regex, GivesEmptyMatchesOnceAndNotBehindAMatch) {
  EXPECT_EQ(matches("x*", "axb"), (List{"", "x", ""}));
  EXPECT_EQ(matches("(?=한)", "한한"), (List{"", ""}));
}

TEST(Regex, RefusesWhatItCannotTranslate) {
  for (const char* pattern :
       {"",        "[a[bc]]", "[a&&b]",     "[[:alpha:]]", R"(\b)", R"(\1)", R"(\G)", R"(\pL)", R"(\p{Alpha})",
        R"(\xff)", "(*UTF)",  "(?<name>a)", "(?x)a",       "a{2}+", "a{2}?", "(",     "[a",     R"(\)",
        R"([\W])", R"(\K)",   R"(\X)",      "(?#c)",       R"(\p{)"}) {
    try {
      Regex regex(pattern, "the pattern");
      ADD_FAILURE() << pattern << " was accepted";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kUnsupported) << pattern;
      EXPECT_NE(e.message().find("the pattern"), std::string::npos) << e.message();
    }
  }
}

TEST(Regex, GivesUpWithAnErrorOnCatastrophicPatterns) {
  RegexScratch scratch;
  std::vector<Span> spans;
  std::string text(200, 'a');
  text += 'b';
  EXPECT_THROW(Regex("(a+)+$", "test").find_all(text, scratch, spans), Error);
}

TEST(Regex, FallsBackWhenTheCompiledCodeRunsOutOfStack) {
  std::string text(200000, 'a');
  text += 'c';
  EXPECT_EQ(matches("(?:a|b)+c", text).size(), 1u);
}

}  // namespace
}  // namespace unha
