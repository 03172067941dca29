// SPDX-License-Identifier: Apache-2.0
// UTF-8 and the few Unicode facts that tokenizers need. Tables come from utf8proc.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace unha {

// Offset of the first byte that is not part of well-formed UTF-8, or npos.
size_t find_invalid_utf8(std::string_view text);

// Reads one character of well-formed UTF-8 at `pos` and moves pos past it.
char32_t next_char(std::string_view text, size_t& pos);
// The character that ends at `pos` (> 0); moves pos to its start.
char32_t previous_char(std::string_view text, size_t& pos);
void append_utf8(std::string& out, char32_t c);

// Replaces each maximal invalid part (as the Unicode standard's conformance chapter advises) by U+FFFD.
std::string lossy_utf8(std::string_view bytes);

// Length of the tail of `bytes` that may still become a character: the bytes that a stream must hold back. The first
// two bytes of an encoded surrogate (ED A0..BF) are held back too, as the reference's decoder does, though they never
// become a character.
size_t incomplete_utf8_tail(std::string_view bytes);

bool is_white_space(char32_t c);  // property White_Space
bool is_mark(char32_t c);         // general category M*
bool is_numeric(char32_t c);      // general category N*
bool is_word_char(char32_t c);    // Alphabetic, M, Nd, Pc, Join_Control: \w of UTS 18

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };
std::string normalize_utf8(std::string_view text, NormalForm form);

// Full lowercase mapping, each character by itself (no final sigma; U+0130 becomes i and U+0307).
std::string lowercase_utf8(std::string_view text);

}  // namespace unha
