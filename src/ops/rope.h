// SPDX-License-Identifier: Apache-2.0
// Rotary position embedding (deepseek-v3.md sections 2.4 and 2.5): pairs of columns turn by position times frequency.
// Angles, cosines and sines are made once, in double, by base/exact_math.h, and rounded: no libm enters a result.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "ops/ctx.h"
#include "ops/segment.h"

namespace unha {

// config.json's rope_scaling of type "yarn".
struct Yarn {
  double factor = 1;
  double original_max_position_embeddings = 4096;
  double beta_fast = 32;
  double beta_slow = 1;
  double mscale = 1;
  double mscale_all_dim = 0;                    // 0: absent
  std::optional<double> attention_factor = {};  // the amplitude itself, in place of what follows from the above

  bool operator==(const Yarn&) const = default;
};

// config.json's rope_scaling of type "llama3" (deepseek-v3.md section 12): long waves are stretched by `factor`, short
// ones kept, those between blended.
struct Llama3Rope {
  double factor = 1;
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  double original_max_position_embeddings = 8192;
};

enum class Pairing {
  kAdjacent,   // columns (2i, 2i + 1): MLA, and Llama's rows in GGUF
  kHalfSplit,  // columns (i, i + dim / 2)
};

struct RopeConfig {
  double theta = 10000;
  int64_t dim = 0;  // even
  std::optional<Yarn> yarn;
  Pairing pairing = Pairing::kAdjacent;
  std::optional<Llama3Rope> llama3 = {};
  std::vector<double> divisors = {};  // of the frequencies, [dim / 2]: rope_freqs of GGUF; empty: none
};

// m(s, x) = 1 if s <= 1, else 0.1 x ln s + 1.
double yarn_magnitude(double factor, double x);
// Radians per position, [dim / 2].
std::vector<double> rope_frequencies(const RopeConfig& config);
// What cos and sin are multiplied by: m(factor, mscale) / m(factor, mscale_all_dim), or m(factor, mscale) without the
// latter; 1 without YaRN. m is yarn_magnitude.
double rope_amplitude(const RopeConfig& config);
// (head_dim)^(-1/2), times m(factor, mscale_all_dim)^2 if YaRN states it. head_dim: nope and rope together.
double softmax_scale(int64_t head_dim, const std::optional<Yarn>& yarn);

// cos and sin of every position, amplitude included.
class RopeTable {
 public:
  explicit RopeTable(const RopeConfig& config, int64_t positions = 0);

  // Makes the table cover positions [0, n); never shrinks. Not while an op reads it.
  void grow(int64_t n);

  const RopeConfig& config() const { return config_; }
  int64_t positions() const { return positions_; }
  int64_t dim() const { return config_.dim; }

  template <class R>
  const R* cos(int64_t position) const {  // [dim / 2]
    return data<R>(position);
  }
  template <class R>
  const R* sin(int64_t position) const {  // [dim / 2]
    return data<R>(position) + config_.dim / 2;
  }

 private:
  template <class R>
  const R* data(int64_t position) const {
    size_t at = static_cast<size_t>(position * config_.dim);
    if constexpr (sizeof(R) == 8) {
      return f64_.data() + at;
    } else {
      return f32_.data() + at;
    }
  }

  RopeConfig config_;
  std::vector<double> frequencies_;
  double amplitude_;
  int64_t positions_ = 0;
  std::vector<float> f32_;  // [positions, 2, dim / 2]: cos, sin
  std::vector<double> f64_;
};

namespace ops {

// Turns columns [h * head_stride + offset, + dim) of each head h < heads by the row's position in its segment; other
// columns are copied. x [N, cols] -> [N, cols]. The table must cover the positions (a check).
Tensor rope(Ctx& ctx, Tensor x, int64_t heads, int64_t head_stride, int64_t offset, std::span<const Segment> segments,
            const RopeTable& table);

}  // namespace ops
}  // namespace unha
