// SPDX-License-Identifier: Apache-2.0
#include "base/rng.h"

#include <cmath>
#include <numbers>

#include "base/int128.h"

namespace unha {

namespace {
// One Philox 4x32 block of 10 rounds.
std::array<uint32_t, 4> philox(std::array<uint32_t, 4> x, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    uint64_t p0 = uint64_t{0xD2511F53} * x[0];
    uint64_t p1 = uint64_t{0xCD9E8D57} * x[2];
    x = {static_cast<uint32_t>(p1 >> 32) ^ x[1] ^ key[0], static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ x[3] ^ key[1], static_cast<uint32_t>(p0)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return x;
}
}  // namespace

std::array<uint32_t, 4> Rng::at(uint64_t position) const {
  // Counter: low and high word of the position (the latter carries the purpose in its top byte), then the index.
  return philox({static_cast<uint32_t>(position), static_cast<uint32_t>(position >> 32) ^ (purpose_ << 24),
                 static_cast<uint32_t>(index_), static_cast<uint32_t>(index_ >> 32)},
                key_);
}

double Rng::uniform_double_at(uint64_t position) const {
  auto w = at(position);
  uint64_t bits = (static_cast<uint64_t>(w[0]) << 32) | w[1];
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

double Rng::normal_at(uint64_t position) const {
  auto w = at(position);
  double u1 = (static_cast<double>(((static_cast<uint64_t>(w[0]) << 32) | w[1]) >> 11) + 0.5) * 0x1p-53;
  double u2 = static_cast<double>(((static_cast<uint64_t>(w[2]) << 32) | w[3]) >> 11) * 0x1p-53;
  return std::sqrt(-2.0 * std::log(u1)) * std::cos(2.0 * std::numbers::pi * u2);
}

uint32_t Rng::next_u32() {
  if (left_ == 0) {
    words_ = at(position_++);
    left_ = 4;
  }
  return words_[4 - left_--];
}

uint64_t Rng::below(uint64_t n) {
  uint64_t threshold = (0 - n) % n;
  for (;;) {
    auto product = static_cast<uint128>(next_u64()) * n;
    if (static_cast<uint64_t>(product) >= threshold) return static_cast<uint64_t>(product >> 64);
  }
}

}  // namespace unha
