// SPDX-License-Identifier: Apache-2.0
#include "engine/text_out.h"

#include <gtest/gtest.h>

namespace unha {
namespace {

TEST(StopMatcher, FindsAStopStringAcrossPieces) {
  StopMatcher matcher({"END", "\n\n"});
  EXPECT_EQ(matcher.push("a E"), "a ");
  EXPECT_EQ(matcher.push("N"), "");
  EXPECT_EQ(matcher.push("T\n"), "ENT");
  EXPECT_EQ(matcher.push("x EN"), "\nx ");
  EXPECT_EQ(matcher.push("D tail"), "");
  EXPECT_TRUE(matcher.stopped());
  EXPECT_EQ(matcher.finish(), "");
}

TEST(StopMatcher, TheFirstOfTwoStopStringsWins) {
  StopMatcher matcher({"cd", "b"});
  EXPECT_EQ(matcher.push("abcd"), "a");
  EXPECT_TRUE(matcher.stopped());
}

TEST(StopMatcher, GivesBackWhatDidNotComplete) {
  StopMatcher matcher({"aab"});
  EXPECT_EQ(matcher.push("aaa"), "a");
  EXPECT_EQ(matcher.finish(), "aa");
  EXPECT_FALSE(matcher.stopped());
}

// "[thought]text" of what comes out when the text is pushed in pieces of n bytes.
std::string split(const std::string& text, size_t n, bool inside) {
  std::string thought, rest;
  ThoughtSplitter splitter(inside, [&](std::string part, bool thinking) { (thinking ? thought : rest) += part; });
  for (size_t i = 0; i < text.size(); i += n) splitter.push(text.substr(i, n));
  splitter.finish();
  return "[" + thought + "]" + rest;
}

TEST(ThoughtSplitter, FindsWhatAReplyBeginsWith) {
  for (size_t n : {1, 2, 3, 7, 100}) {
    EXPECT_EQ(split("\n<think>a</thin b</think>\nc<think>d</think>", n, false),
              "[<think>a</thin b</think>]\n\nc<think>d</think>");
    EXPECT_EQ(split("a</think>b</think>", n, true), "[a</think>]b</think>");
    EXPECT_EQ(split("never <think>x</think>", n, false), "[]never <think>x</think>");
    EXPECT_EQ(split("<thing>", n, false), "[]<thing>");
    EXPECT_EQ(split("cut </thi", n, true), "[cut </thi]");
    EXPECT_EQ(split("<thin", n, false), "[]<thin");
    EXPECT_EQ(split("", n, true), "[]");
  }
}

}  // namespace
}  // namespace unha
