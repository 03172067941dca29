// SPDX-License-Identifier: Apache-2.0
#include "text/utf8.h"

#include <gtest/gtest.h>

#include "text/base64.h"
#include "text/byte_level.h"

namespace unha {
namespace {

TEST(Utf8, FindsTheFirstInvalidByte) {
  EXPECT_EQ(find_invalid_utf8("plain é 한 😀"), std::string_view::npos);
  EXPECT_EQ(find_invalid_utf8("ab\xff"), 2u);
  EXPECT_EQ(find_invalid_utf8("a\xC0\x80"), 1u);         // overlong
  EXPECT_EQ(find_invalid_utf8("a\xED\xA0\x80"), 1u);     // surrogate
  EXPECT_EQ(find_invalid_utf8("\xF4\x90\x80\x80"), 0u);  // above U+10FFFF
  EXPECT_EQ(find_invalid_utf8("x\xE4\xBD"), 1u);         // cut off
}

TEST(Utf8, ReplacesEachMaximalInvalidPart) {
  const std::string r = "\uFFFD";
  EXPECT_EQ(lossy_utf8("a\xF0\x9F\x98"), "a" + r);
  EXPECT_EQ(lossy_utf8("\xE4\xBD"
                       "A\x80"),
            r + "A" + r);
  EXPECT_EQ(lossy_utf8("\xED\xA0\x80"), r + r + r);
  EXPECT_EQ(lossy_utf8("\xF0\x80\x80"), r + r + r);
  EXPECT_EQ(lossy_utf8("한"), "한");
}

TEST(Utf8, HoldsBackWhatMayBecomeACharacter) {
  EXPECT_EQ(incomplete_utf8_tail(""), 0u);
  EXPECT_EQ(incomplete_utf8_tail("a"), 0u);
  EXPECT_EQ(incomplete_utf8_tail("한"), 0u);
  EXPECT_EQ(incomplete_utf8_tail("a\xF0\x9F\x98"), 3u);
  EXPECT_EQ(incomplete_utf8_tail("a\xE4"), 1u);
  EXPECT_EQ(incomplete_utf8_tail("\x80\x80"), 0u);
  EXPECT_EQ(incomplete_utf8_tail("\xF0\x80"), 0u);
  EXPECT_EQ(incomplete_utf8_tail("\xED\xA0"), 2u);
  EXPECT_EQ(incomplete_utf8_tail("\xED\xA0\x80"), 0u);
}

TEST(Utf8, WalksBothWays) {
  std::string text = "aé한😀";
  std::u32string forward, backward;
  for (size_t i = 0; i < text.size();) forward += next_char(text, i);
  for (size_t i = text.size(); i > 0;) backward.insert(0, 1, previous_char(text, i));
  EXPECT_EQ(forward, U"aé한😀");
  EXPECT_EQ(backward, forward);
  std::string again;
  for (char32_t c : forward) append_utf8(again, c);
  EXPECT_EQ(again, text);
}

TEST(Utf8, KnowsWordCharacters) {
  for (char32_t c : U"aZ9_é한\u0301Ⅷ\u200dⒶ") {
    if (c) {
      EXPECT_TRUE(is_word_char(c)) << static_cast<uint32_t>(c);
    }
  }
  for (char32_t c : U" -.。€½") {
    if (c) {
      EXPECT_FALSE(is_word_char(c)) << static_cast<uint32_t>(c);
    }
  }
}

TEST(ByteLevel, SpellsEveryByteAndBack) {
  ByteLevel bytes;
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  EXPECT_EQ(bytes.unspell(bytes.spell(all)), all);
  EXPECT_EQ(bytes.spell(" \n"), "ĠĊ");
  EXPECT_EQ(bytes.token_bytes("ø"), "\xF8");
  EXPECT_EQ(bytes.token_bytes("<｜x｜>"), "<｜x｜>");
  EXPECT_FALSE(bytes.unspell("한").has_value());
}

TEST(Base64, PadsToFours) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("foob\xff"), "Zm9vYv8=");
}

}  // namespace
}  // namespace unha
