// SPDX-License-Identifier: Apache-2.0
// Counter-based random numbers: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
// A number is a pure function of (seed, purpose, index, position), so nothing depends on who asked first.
#pragma once

#include <array>
#include <cstdint>

namespace unha {

// What a stream of random numbers is for. Values are part of saved results: append, never renumber.
enum class Purpose : uint32_t {
  kInit = 1,      // weights; index: tensor number
  kSample = 2,    // token sampling; index: request or sample, position: place in the sequence
  kShuffle = 3,   // order of documents; index: epoch
  kCorpus = 4,    // generated examples; index: example
  kTest = 5,
};

class Rng {
 public:
  Rng(uint64_t seed, Purpose purpose, uint64_t index)
      : key_{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)},
        purpose_(static_cast<uint32_t>(purpose)),
        index_(index) {}

  // Four words at `position`, without touching the sequential state. index is limited to 32 + 31 bits by the counter.
  std::array<uint32_t, 4> at(uint64_t position) const;

  // Uniform in [0, 1) with 24 bits (float) or 53 bits (double) at a position.
  float uniform_at(uint64_t position) const { return static_cast<float>(at(position)[0] >> 8) * 0x1p-24f; }
  double uniform_double_at(uint64_t position) const;
  // Standard normal (Box-Muller in double) at a position.
  double normal_at(uint64_t position) const;

  // Sequential use: positions 0, 1, 2 ... of this stream.
  uint32_t next_u32();
  uint64_t next_u64() { return (static_cast<uint64_t>(next_u32()) << 32) | next_u32(); }
  // Uniform integer in [0, n), without bias; n > 0.
  uint64_t below(uint64_t n);
  // Uniform integer in [low, high].
  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(below(static_cast<uint64_t>(high - low) + 1));
  }
  double uniform() { return static_cast<double>(next_u64() >> 11) * 0x1p-53; }

 private:
  std::array<uint32_t, 2> key_;
  uint32_t purpose_;
  uint64_t index_;
  uint64_t position_ = 0;
  std::array<uint32_t, 4> words_{};
  int left_ = 0;
};

}  // namespace unha
