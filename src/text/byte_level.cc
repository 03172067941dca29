// SPDX-License-Identifier: Apache-2.0
#include "text/byte_level.h"

#include "text/utf8.h"

namespace unha {

ByteLevel::ByteLevel() {
  to_byte_.fill(-1);
  char32_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    bool itself = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    char32_t c = itself ? static_cast<char32_t>(byte) : next++;
    to_char_[byte] = c;
    to_byte_[c] = static_cast<int16_t>(byte);
  }
}

std::string ByteLevel::spell(std::string_view bytes) const {
  std::string out;
  out.reserve(bytes.size());
  for (char byte : bytes) append_utf8(out, to_char_[static_cast<uint8_t>(byte)]);
  return out;
}

std::optional<std::string> ByteLevel::unspell(std::string_view token) const {
  std::string out;
  out.reserve(token.size());
  for (size_t i = 0; i < token.size();) {
    char32_t c = next_char(token, i);
    if (c >= to_byte_.size() || to_byte_[c] < 0) return std::nullopt;
    out += static_cast<char>(to_byte_[c]);
  }
  return out;
}

std::string ByteLevel::token_bytes(std::string_view token) const {
  auto bytes = unspell(token);
  return bytes ? std::move(*bytes) : std::string(token);
}

}  // namespace unha
