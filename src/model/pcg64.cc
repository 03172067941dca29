// SPDX-License-Identifier: Apache-2.0
#include "model/pcg64.h"

#include <array>
#include <bit>

#include "base/error.h"

namespace unha {

namespace {

// Spreads a seed over 8 words of 32 bits (O'Neill, "Developing a seed_seq alternative", 2015, with NumPy's constants).
std::array<uint32_t, 8> spread_seed(uint64_t seed) {
  uint32_t a = 0x43b0d7e5u;
  auto hash = [&](uint32_t v) {
    v ^= a;
    a *= 0x931e8875u;
    v *= a;
    return v ^ (v >> 16);
  };
  auto mix = [](uint32_t x, uint32_t y) {
    uint32_t r = 0xca01f9ddu * x - 0x4973f715u * y;
    return r ^ (r >> 16);
  };
  std::array<uint32_t, 4> pool = {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32), 0, 0};
  for (uint32_t& word : pool) word = hash(word);
  for (size_t from = 0; from < 4; ++from) {
    for (size_t to = 0; to < 4; ++to) {
      if (to != from) pool[to] = mix(pool[to], hash(pool[from]));
    }
  }
  uint32_t b = 0x8b51f9ddu;
  std::array<uint32_t, 8> words{};
  for (size_t i = 0; i < words.size(); ++i) {
    uint32_t v = pool[i % 4] ^ b;
    b *= 0x58f38dedu;
    v *= b;
    words[i] = v ^ (v >> 16);
  }
  return words;
}

}  // namespace

Pcg64::Pcg64(uint64_t seed) {
  auto words = spread_seed(seed);
  auto word64 = [&](size_t j) { return words[2 * j] | static_cast<uint64_t>(words[2 * j + 1]) << 32; };
  uint128 start = static_cast<uint128>(word64(0)) << 64 | word64(1);
  increment_ = (static_cast<uint128>(word64(2)) << 64 | word64(3)) << 1 | 1;
  step();
  state_ += start;
  step();
}

void Pcg64::step() {
  constexpr uint128 kMultiplier = static_cast<uint128>(2549297995355413924u) << 64 | 4865540595714422341u;
  state_ = state_ * kMultiplier + increment_;
}

uint64_t Pcg64::next() {
  step();
  auto folded = static_cast<uint64_t>(state_ >> 64) ^ static_cast<uint64_t>(state_);
  return std::rotr(folded, static_cast<int>(state_ >> 122));
}

uint64_t Pcg64::below(uint64_t n) {
  UNHA_CHECK(n > uint64_t{1} << 32, "Pcg64 draws below {}", n);
  uint128 product = static_cast<uint128>(next()) * n;
  if (static_cast<uint64_t>(product) < n) {
    uint64_t threshold = (uint64_t{0} - n) % n;
    while (static_cast<uint64_t>(product) < threshold) product = static_cast<uint128>(next()) * n;
  }
  return static_cast<uint64_t>(product >> 64);
}

}  // namespace unha
