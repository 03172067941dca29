// SPDX-License-Identifier: Apache-2.0
#include "corpus/clean.h"

#include <gtest/gtest.h>

namespace unha::corpus {
namespace {

TEST(CleanText, KeepsValidUtf8AndFallsBackToLatin1) {
  EXPECT_EQ(clean_text("caf\xC3\xA9 \xEC\x9D\x80\xED\x95\x98"), "caf\xC3\xA9 \xEC\x9D\x80\xED\x95\x98");
  EXPECT_EQ(clean_text("caf\xE9"), "caf\xC3\xA9");
  EXPECT_EQ(clean_text("\xEF\xBB\xBFhello"), "hello");
}

TEST(CleanText, RefusesOverlongSurrogateAndCutSequencesAsUtf8) {
  EXPECT_FALSE(is_valid_utf8("\xC0\xAF"));
  EXPECT_FALSE(is_valid_utf8("\xED\xA0\x80"));
  EXPECT_FALSE(is_valid_utf8("\xF4\x90\x80\x80"));
  EXPECT_FALSE(is_valid_utf8("ab\xE2\x82"));
  EXPECT_TRUE(is_valid_utf8("\xF0\x9F\x8C\x8C"));
}

TEST(CleanText, NormalisesLineEndsControlsAndBlankLines) {
  EXPECT_EQ(clean_text("\n\na\r\nb\rc  \t\n\n \n\n\nd\x07\x1B[0m\n\n"), "a\nb\nc\n\nd[0m");
  EXPECT_EQ(clean_text("a\xC2\xA0"
                       "b\xC2\xAD"
                       "c\x7F"),
            "a bc");
  EXPECT_EQ(clean_text(" \n\t\n"), "");
  EXPECT_EQ(clean_text("x\n\n\n\ny").find("\n\n\n"), std::string::npos);
}

TEST(CleanText, CleaningTwiceChangesNothing) {
  std::string once = clean_text("  indented\r\n\r\n\r\ntext\t \f page \xFF\xFE");
  EXPECT_EQ(clean_text(once), once);
}

TEST(SplitParagraphs, GivesTheTextBetweenBlankLines) {
  EXPECT_EQ(split_paragraphs("a\nb\n\nc"), (std::vector<std::string_view>{"a\nb", "c"}));
  EXPECT_TRUE(split_paragraphs("").empty());
}

TEST(UnwrapParagraphs, JoinsProseAndLeavesIndentedText) {
  EXPECT_EQ(unwrap_paragraphs("one\ntwo\nthree\n\n  code\n  more\n\nverse\n  indented"),
            "one two three\n\n  code\n  more\n\nverse\n  indented");
}

}  // namespace
}  // namespace unha::corpus
