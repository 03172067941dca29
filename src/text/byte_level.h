// SPDX-License-Identifier: Apache-2.0
// The byte-to-character table of byte-level BPE: the printable characters of Latin-1 stand for themselves, the other
// 68 bytes for U+0100 + n in increasing order. Vocabulary files spell tokens in these characters.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace unha {

class ByteLevel {
 public:
  ByteLevel();

  char32_t to_char(uint8_t byte) const { return to_char_[byte]; }
  // The bytes as a vocabulary spells them.
  std::string spell(std::string_view bytes) const;
  // The bytes behind a spelling; nothing if a character is not in the table.
  std::optional<std::string> unspell(std::string_view token) const;
  // The bytes of a token: its unspelled form or, where a character is not in the table, the token's own UTF-8.
  std::string token_bytes(std::string_view token) const;

 private:
  std::array<char32_t, 256> to_char_;
  std::array<int16_t, 0x144> to_byte_;
};

}  // namespace unha
