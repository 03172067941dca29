// SPDX-License-Identifier: Apache-2.0
#include "ops/rope.h"

#include <gtest/gtest.h>

#include "ops/grad_check.h"

namespace unha {
namespace {

Yarn v3_yarn(double mscale) { return {40, 4096, 32, 1, mscale, mscale}; }

TEST(Rope, YarnFrequenciesMatchTheCheckValues) {
  RopeConfig config{10000, 64, v3_yarn(1.0)};
  auto f = rope_frequencies(config);
  const std::pair<size_t, double> expected[] = {{0, 1},
                                                {10, 0.0562341325},
                                                {11, 0.0390069266},
                                                {12, 0.0268793601},
                                                {13, 0.0183781462},
                                                {14, 0.0124479559},
                                                {15, 0.00833450895},
                                                {16, 0.0055},
                                                {17, 0.00356199749},
                                                {18, 0.0022493653},
                                                {19, 0.00137051364},
                                                {20, 0.000790569415},
                                                {21, 0.000414990398},
                                                {22, 0.000177827941},
                                                {23, 3.33380358e-05},
                                                {31, 3.33380358e-06}};
  for (auto [i, value] : expected) EXPECT_NEAR(f[i] / value, 1, 5e-9) << "pair " << i;
  EXPECT_NEAR(100000 * f[16], 550.0, 1e-9);
}

TEST(Rope, PlainFrequenciesArePowersOfTheta) {
  auto f = rope_frequencies({10000, 8, std::nullopt});
  EXPECT_NEAR(f[0], 1, 1e-15);
  EXPECT_NEAR(f[1], 0.1, 1e-15);
  EXPECT_NEAR(f[2], 0.01, 1e-16);
  EXPECT_NEAR(f[3], 0.001, 1e-17);
}

TEST(Rope, Llama3KeepsShortWavesStretchesLongOnesAndBlendsBetween) {
  RopeConfig plain{500000, 128, std::nullopt};
  RopeConfig scaled = plain;
  scaled.llama3 = Llama3Rope{8, 1, 4, 8192};
  auto before = rope_frequencies(plain), after = rope_frequencies(scaled);
  int kept = 0, stretched = 0, blended = 0;
  for (size_t i = 0; i < before.size(); ++i) {
    double wavelength = 2 * 3.14159265358979323846 / before[i];  // as deepseek-v3.md section 12 writes it
    if (wavelength < 8192.0 / 4) {
      EXPECT_EQ(after[i], before[i]) << i;
      ++kept;
    } else if (wavelength > 8192.0) {
      EXPECT_EQ(after[i], before[i] / 8) << i;
      ++stretched;
    } else {
      double t = (8192 / wavelength - 1) / 3;
      EXPECT_NEAR(after[i], (1 - t) * before[i] / 8 + t * before[i], 1e-15) << i;
      ++blended;
    }
  }
  EXPECT_EQ(kept, 29);
  EXPECT_EQ(blended, 6);
  EXPECT_EQ(stretched, 29);
}

TEST(Rope, DivisorsDivideEachFrequency) {
  auto before = rope_frequencies({10000, 8, std::nullopt});
  RopeConfig config{10000, 8, std::nullopt};
  config.divisors = {1, 2, 4, 8};
  auto after = rope_frequencies(config);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(after[i], before[i] / config.divisors[i]);
}

TEST(Rope, YarnRampHasASlopeWhereItsEndsMeet) {
  // Both corrections fall on pair 0 by their clamps; the ramp is then a step after pair 0.
  auto f = rope_frequencies({10000, 8, Yarn{4, 16, 32, 16, 1, 1}});
  EXPECT_NEAR(f[0], 1, 1e-15);
  EXPECT_NEAR(f[1], 0.1 / 4, 1e-15);
  EXPECT_NEAR(f[3], 0.001 / 4, 1e-15);
}

TEST(Rope, SoftmaxScalesMatchTheCheckValues) {
  EXPECT_NEAR(softmax_scale(192, v3_yarn(1.0)), 0.135233779, 1e-9);
  EXPECT_NEAR(softmax_scale(192, v3_yarn(0.707)), 0.114721387, 1e-9);
  EXPECT_NEAR(softmax_scale(192, std::nullopt), 0.072168784, 1e-9);
  EXPECT_NEAR(softmax_scale(192, Yarn{40, 4096, 32, 1, 1, 0}), 0.072168784, 1e-9);
  EXPECT_NEAR(softmax_scale(192, Yarn{1, 4096, 32, 1, 1, 1}), 0.072168784, 1e-9);
}

TEST(Rope, AmplitudeIsTheRatioOfTheTwoScales) {
  EXPECT_EQ(rope_amplitude({10000, 64, std::nullopt}), 1);
  EXPECT_EQ(rope_amplitude({10000, 64, v3_yarn(0.707)}), 1);
  EXPECT_NEAR(rope_amplitude({10000, 64, Yarn{40, 4096, 32, 1, 1.0, 0}}), 1.368887945, 1e-9);
  EXPECT_NEAR(rope_amplitude({10000, 64, Yarn{40, 4096, 32, 1, 1.0, 0.707}}), 1.368887945 / 1.260803777, 1e-9);
  EXPECT_EQ(rope_amplitude({10000, 64, Yarn{40, 4096, 32, 1, 1.0, 0, 0.75}}), 0.75);
  RopeTable table({10000, 64, Yarn{40, 4096, 32, 1, 1.0, 0}}, 1);
  EXPECT_NEAR(table.cos<double>(0)[5], 1.368887945, 1e-9);
}

TEST(Rope, TableGrowsWithoutChangingWhatItHeld) {
  RopeTable small({10000, 16, std::nullopt}, 3), large({10000, 16, std::nullopt}, 40);
  small.grow(40);
  small.grow(7);
  ASSERT_EQ(small.positions(), 40);
  for (int64_t p = 0; p < 40; ++p) {
    for (int i = 0; i < 8; ++i) {
      ASSERT_EQ(small.cos<float>(p)[i], large.cos<float>(p)[i]);
      ASSERT_EQ(small.sin<double>(p)[i], large.sin<double>(p)[i]);
    }
  }
}

struct Rows {
  Arena arena;
  Threads threads{2};
  Ctx ctx = make_ctx(arena, threads, Numerics::kF64, Isa::kScalar);
  Tensor random(int64_t rows, int64_t cols, uint64_t stream) {
    Tensor t = ctx.scratch(DType::kF64, rows, cols);
    Rng rng(7, Purpose::kTest, stream);
    for (int64_t i = 0; i < t.size(); ++i) t.data<double>()[i] = rng.normal_at(static_cast<uint64_t>(i));
    return t;
  }
};

// deepseek-v3.md section 13: with perm = evens then odds, perm(rope_adjacent(x)) == rope_half(perm(x)).
TEST(Rope, PairingsAgreeUpToAPermutation) {
  Rows rows;
  constexpr int64_t kDim = 12, kN = 9;
  RopeTable adjacent({10000, kDim, std::nullopt}, kN), half({10000, kDim, std::nullopt, Pairing::kHalfSplit}, kN);
  std::vector<Segment> segments = {{0, kN, 0}};
  auto permuted = [&](const Tensor& x) {
    Tensor y = rows.ctx.scratch(DType::kF64, kN, kDim);
    for (int64_t r = 0; r < kN; ++r) {
      for (int64_t i = 0; i < kDim; ++i)
        y.row<double>(r)[i] = x.row<double>(r)[i < kDim / 2 ? 2 * i : 2 * i - kDim + 1];
    }
    return y;
  };
  auto dot = [&](const Tensor& a, const Tensor& b, int64_t i, int64_t j) {
    double sum = 0;
    for (int64_t k = 0; k < kDim; ++k) sum += a.row<double>(i)[k] * b.row<double>(j)[k];
    return sum;
  };
  Tensor q = rows.random(kN, kDim, 1), k = rows.random(kN, kDim, 2);
  Tensor qa = ops::rope(rows.ctx, q, 1, kDim, 0, segments, adjacent);
  Tensor ka = ops::rope(rows.ctx, k, 1, kDim, 0, segments, adjacent);
  Tensor qh = ops::rope(rows.ctx, permuted(q), 1, kDim, 0, segments, half);
  Tensor kh = ops::rope(rows.ctx, permuted(k), 1, kDim, 0, segments, half);
  Tensor wrong_q = ops::rope(rows.ctx, q, 1, kDim, 0, segments, half);
  Tensor wrong_k = ops::rope(rows.ctx, k, 1, kDim, 0, segments, half);
  Tensor pqa = permuted(qa);
  for (int64_t i = 0; i < kN; ++i) {
    for (int64_t c = 0; c < kDim; ++c) ASSERT_EQ(pqa.row<double>(i)[c], qh.row<double>(i)[c]);
    for (int64_t j = 0; j < kN; ++j) ASSERT_NEAR(dot(qa, ka, i, j), dot(qh, kh, i, j), 1e-12);
  }
  EXPECT_GT(std::fabs(dot(qa, ka, 8, 1) - dot(wrong_q, wrong_k, 8, 1)), 1e-3);
}

TEST(Rope, TurnsTheStatedColumnsByPositionAndCopiesTheRest) {
  Rows rows;
  RopeTable table({100, 4, std::nullopt}, 12);
  Tensor x = rows.random(5, 16, 3);
  std::vector<Segment> segments = {{0, 2, 0}, {2, 3, 9}};
  Tensor y = ops::rope(rows.ctx, x, 2, 7, 3, segments, table);
  for (int64_t r = 0; r < 5; ++r) {
    double position = r < 2 ? static_cast<double>(r) : static_cast<double>(9 + r - 2);
    const double* in = x.row<double>(r);
    std::vector<double> expected(in, in + 16);
    for (size_t at : {size_t{3}, size_t{10}}) {
      for (size_t i = 0; i < 2; ++i) {
        double angle = position * (i == 0 ? 1.0 : 0.1);
        double a = in[at + 2 * i], b = in[at + 2 * i + 1];
        expected[at + 2 * i] = a * std::cos(angle) - b * std::sin(angle);
        expected[at + 2 * i + 1] = a * std::sin(angle) + b * std::cos(angle);
      }
    }
    for (size_t c = 0; c < 16; ++c) ASSERT_NEAR(y.row<double>(r)[c], expected[c], 1e-14) << r << ", " << c;
  }
}

TEST(Rope, GradientsAgreeWithCentralDifferences) {
  for (Pairing pairing : {Pairing::kAdjacent, Pairing::kHalfSplit}) {
    GradCheck check;
    check.input(6, 17);
    RopeTable table({50, 6, Yarn{3, 8, 4, 1, 1, 0}, pairing}, 9);
    std::vector<Segment> segments = {{0, 4, 0}, {4, 2, 5}};
    check.run([&](Ctx& ctx, const std::vector<Tensor>& in) { return ops::rope(ctx, in[0], 2, 8, 1, segments, table); });
  }
}

}  // namespace
}  // namespace unha
