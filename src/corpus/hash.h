// SPDX-License-Identifier: Apache-2.0
// A 64-bit hash that decides splits and finds duplicates. It is part of the results: never change it.
#pragma once

#include <cstdint>
#include <string_view>

namespace unha::corpus {

// FNV-1a over the bytes, then the finaliser of splitmix64, so that every bit may be used alone.
inline uint64_t mix_hash(uint64_t x) {
  x ^= x >> 30;
  x *= 0xBF58476D1CE4E5B9ull;
  x ^= x >> 27;
  x *= 0x94D049BB133111EBull;
  return x ^ x >> 31;
}
inline uint64_t text_hash(std::string_view text) {
  uint64_t h = 0xCBF29CE484222325ull;
  for (char c : text) h = (h ^ static_cast<uint8_t>(c)) * 0x100000001B3ull;
  return mix_hash(h);
}

}  // namespace unha::corpus
