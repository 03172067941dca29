// SPDX-License-Identifier: Apache-2.0
#include "kernels/optim.h"

#include "kernels/tier_test.h"
#include "tensor/dtype.h"

namespace unha::kernels {
namespace {

struct State {
  std::vector<float> p, m, v;
};

std::vector<float> gradient(int step, size_t n) {
  Rng rng(9, Purpose::kTest, static_cast<uint64_t>(step));
  std::vector<float> g = normals(rng, static_cast<int64_t>(n));
  for (size_t i = 0; i < n; ++i) g[i] *= std::ldexp(1.0f, -static_cast<int>(i % 20));
  return g;
}

TEST(AdamW, FiftyStepsAgreeWithDoubleToOneMillionth) {
  flush_denormals();
  const auto& optim = kernels_for(best_isa()).optim;
  constexpr double kRate = 2e-3, kBeta1 = 0.9, kBeta2 = 0.99, kEps = 1e-8, kDecay = 0.1, kScale = 0.5;
  Rng rng(1, Purpose::kTest, 0);
  State s{normals(rng, 200), std::vector<float>(200), std::vector<float>(200)};
  std::vector<double> p(s.p.begin(), s.p.end()), m(200), v(200);
  std::vector<float> out(200);
  for (int step = 1; step <= 50; ++step) {
    double rate = kRate * step / 50;
    auto g = gradient(step, 200);
    auto scalars = adamw_step<float>(step, rate, kBeta1, kBeta2, kEps, kDecay, kScale);
    optim.adamw(s.p.data(), s.m.data(), s.v.data(), g.data(), 200, scalars, out.data());
    for (size_t i = 0; i < 200; ++i) {
      double d = static_cast<double>(g[i]) * kScale;
      p[i] -= rate * kDecay * p[i];
      m[i] = kBeta1 * m[i] + (1 - kBeta1) * d;
      v[i] = kBeta2 * v[i] + (1 - kBeta2) * d * d;
      double top = m[i] / (1 - std::pow(kBeta1, step)), bottom = std::sqrt(v[i] / (1 - std::pow(kBeta2, step))) + kEps;
      p[i] -= rate * top / bottom;
      // Relative to the largest value that went into it: a difference near zero keeps no more digits.
      ASSERT_NEAR(static_cast<double>(s.p[i]), p[i], 1e-6 * std::max(std::fabs(p[i]), 0.1)) << "step " << step;
      ASSERT_NEAR(static_cast<double>(s.v[i]), v[i], 1e-6 * v[i]);
    }
    ASSERT_EQ(out, s.p);
  }
}

TEST(AdamW, DecayIsDecoupledFromTheGradient) {
  flush_denormals();
  const auto& optim = kernels_for(Isa::kScalar).optim;
  float p = 2, m = 0, v = 0, g = 0;
  optim.adamw(&p, &m, &v, &g, 1, adamw_step<float>(1, 0.5, 0.9, 0.99, 1e-8, 0.1, 1), nullptr);
  EXPECT_FLOAT_EQ(p, 2 * (1 - 0.05f));
  EXPECT_EQ(m, 0);
  EXPECT_EQ(v, 0);
}

TEST(AdamW, TheDoubleKernelIsTheFormulaItself) {
  const auto& optim = kernels_f64().optim;
  double p = 1, m = 0.5, v = 0.25, g = 2;
  optim.adamw(&p, &m, &v, &g, 1, adamw_step<double>(3, 0.01, 0.9, 0.99, 1e-8, 0, 1), nullptr);
  double want = 1 - 0.01 * (0.65 / (1 - 0.729)) / (std::sqrt(0.2875 / (1 - 0.970299)) + 1e-8);
  EXPECT_NEAR(p, want, 1e-14);
}

class OptimTest : public EveryTier {};

TEST_P(OptimTest, EverythingEqualsTheScalarTier) {
  auto specials = special_values();
  for (int64_t n : {0, 1, 15, 16, 17, 100, 257}) {
    Rng rng(2, Purpose::kTest, static_cast<uint64_t>(n));
    State start{normals(rng, n), normals(rng, n), normals(rng, n)};
    for (float& x : start.v) x = x * x;
    State a = start, b = start;
    auto size = static_cast<size_t>(n);
    std::vector<float> out_a(size), out_b(size);
    std::vector<uint16_t> half_a(size), half_b(size);
    const auto& scalar_optim = scalar().optim;
    const auto& tier_optim = tier().optim;
    for (int step = 1; step <= 4; ++step) {
      auto g = gradient(step, size);
      if (step == 3) {
        for (float& x : g) x = rng.below(4) == 0 ? specials[rng.below(specials.size())] : x;
      }
      auto s = adamw_step<float>(step, 1e-3, 0.9, 0.95, 1e-8, 0.1, 0.7);
      if (step % 2 == 0) {
        scalar_optim.adamw_bf16(a.p.data(), a.m.data(), a.v.data(), g.data(), n, s, half_a.data());
        tier_optim.adamw_bf16(b.p.data(), b.m.data(), b.v.data(), g.data(), n, s, half_b.data());
      } else {
        scalar_optim.adamw(a.p.data(), a.m.data(), a.v.data(), g.data(), n, s, out_a.data());
        tier_optim.adamw(b.p.data(), b.m.data(), b.v.data(), g.data(), n, s, out_b.data());
      }
      for (size_t i = 0; i < size; ++i) ASSERT_TRUE(same(bf16_to_f32(half_a[i]), bf16_to_f32(half_b[i])));
      ASSERT_TRUE(same_bytes(a.p, b.p) && same_bytes(a.m, b.m) && same_bytes(a.v, b.v) && same_bytes(out_a, out_b));
    }
    ASSERT_TRUE(same(scalar_optim.sum_squares(start.p.data(), n), tier_optim.sum_squares(start.p.data(), n)));
    a = b = start;
    scalar_optim.scale(a.p.data(), n, 0.3f), tier_optim.scale(b.p.data(), n, 0.3f);
    scalar_optim.add(a.p.data(), a.m.data(), n), tier_optim.add(b.p.data(), b.m.data(), n);
    scalar_optim.round_bf16(a.p.data(), half_a.data(), n), tier_optim.round_bf16(b.p.data(), half_b.data(), n);
    scalar_optim.widen_bf16(half_a.data(), out_a.data(), n), tier_optim.widen_bf16(half_b.data(), out_b.data(), n);
    ASSERT_TRUE(same_bytes(a.p, b.p) && same_bytes(half_a, half_b) && same_bytes(out_a, out_b));
  }
}

UNHA_EVERY_TIER(OptimTest);

TEST(Optim, SumsOfSquaresGoThroughSixteenLanes) {
  flush_denormals();
  std::vector<float> x;
  for (int i = 0; i < 37; ++i) x.push_back(static_cast<float>(i) * 0.37f);
  float lanes[16] = {};
  for (size_t i = 0; i < x.size(); ++i) lanes[i % 16] = std::fma(x[i], x[i], lanes[i % 16]);
  for (size_t w = 8; w >= 1; w /= 2) {
    for (size_t i = 0; i < w; ++i) lanes[i] = lanes[i] + lanes[i + w];
  }
  EXPECT_EQ(kernels_for(best_isa()).optim.sum_squares(x.data(), 37), lanes[0]);
}

}  // namespace
}  // namespace unha::kernels
