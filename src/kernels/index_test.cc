// SPDX-License-Identifier: Apache-2.0
// The indexer's rows: every tier against the scalar one with ==, and the scalar one against the formula in double.
#include "kernels/index.h"

#include "kernels/tier_test.h"

namespace unha::kernels {
namespace {

class IndexTest : public EveryTier {};

TEST_P(IndexTest, LayerNormIsTheScalarTwinsForAnyLength) {
  Rng rng(3, Purpose::kTest, 0);
  for (int64_t n : {1, 2, 15, 16, 17, 32, 100, 128, 131}) {
    std::vector<float> x = normals(rng, n), w = normals(rng, n), b = normals(rng, n);
    for (float scale : {1.0f, 1e-4f, 1e20f}) {
      std::vector<float> in = x;
      for (float& v : in) v *= scale;
      std::vector<float> want(in.size()), got(in.size());
      scalar().index.layer_norm(in.data(), w.data(), b.data(), n, 1e-6f, want.data());
      tier().index.layer_norm(in.data(), w.data(), b.data(), n, 1e-6f, got.data());
      EXPECT_TRUE(same_bytes(want, got)) << n << " at " << scale;
    }
  }
}

TEST_P(IndexTest, MixedHeadsAreTheScalarTwinsAlsoWithSpecialValues) {
  Rng rng(4, Purpose::kTest, 0);
  std::vector<float> special = special_values();
  for (int64_t heads : {1, 3, 8}) {
    for (int64_t n : {1, 16, 33, 64}) {
      std::vector<float> scores = normals(rng, heads * 64), weights = normals(rng, heads);
      for (size_t i = 0; i < scores.size(); i += 7) scores[i] = special[(i / 7) % special.size()];
      std::vector<float> want(static_cast<size_t>(n)), got(static_cast<size_t>(n));
      scalar().index.mix_heads(scores.data(), 64, weights.data(), heads, n, want.data());
      tier().index.mix_heads(scores.data(), 64, weights.data(), heads, n, got.data());
      EXPECT_TRUE(same_bytes(want, got)) << heads << " heads, " << n;
    }
  }
}

UNHA_EVERY_TIER(IndexTest);

TEST(IndexKernels, LayerNormAndHeadsFollowTheirFormulas) {
  Rng rng(5, Purpose::kTest, 0);
  const IndexKernels<float>& kernels = kernels_for(Isa::kScalar).index;
  constexpr int64_t kN = 37;
  std::vector<float> x = normals(rng, kN), w = normals(rng, kN), b = normals(rng, kN), y(kN);
  for (float& v : x) v *= 1e-3f;  // eps counts
  kernels.layer_norm(x.data(), w.data(), b.data(), kN, 1e-6f, y.data());
  double mean = 0, variance = 0;
  for (float v : x) mean += static_cast<double>(v) / kN;
  for (float v : x) variance += (static_cast<double>(v) - mean) * (static_cast<double>(v) - mean) / kN;
  for (size_t i = 0; i < x.size(); ++i) {
    double want = (static_cast<double>(x[i]) - mean) / std::sqrt(variance + 1e-6) * static_cast<double>(w[i]) +
                  static_cast<double>(b[i]);
    EXPECT_NEAR(static_cast<double>(y[i]), want, 1e-5);
  }
  std::vector<float> scores = {1, -2, 3, 4}, weights = {2, -1}, out(2);  // [2 heads, 2]
  kernels.mix_heads(scores.data(), 2, weights.data(), 2, 2, out.data());
  EXPECT_EQ(out, (std::vector<float>{2 * 1 - 3, 0 - 4}));
}

}  // namespace
}  // namespace unha::kernels
