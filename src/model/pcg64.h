// SPDX-License-Identifier: Apache-2.0
// PCG64 (O'Neill 2014: 128-bit linear congruence, xor and random rotation of the halves) seeded from an integer the way
// NumPy's default_rng does. Engram's published tables were built with it, so their multipliers come from nowhere else.
#pragma once

#include <cstdint>

#include "base/int128.h"

namespace unha {

class Pcg64 {
 public:
  explicit Pcg64(uint64_t seed);

  uint64_t next();
  // Uniform in [0, n), by rejection. n > 2^32 (below that the original draws 32 bits at a time, which nobody needs).
  uint64_t below(uint64_t n);

  uint128 state() const { return state_; }
  uint128 increment() const { return increment_; }

 private:
  void step();

  uint128 state_ = 0;
  uint128 increment_ = 0;
};

}  // namespace unha
