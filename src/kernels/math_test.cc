// SPDX-License-Identifier: Apache-2.0
// Elementary functions against libm in double over all exponents, and the vector's primitives, tier by tier.
#include "kernels/math.h"

#include "kernels/tier_test.h"
#include "tensor/dtype.h"

namespace unha::kernels {
namespace {

using Function = void (*)(const float*, float*, int64_t);
struct Named {
  const char* name;
  Function MathKernels<float>::*function;
  double (*exact)(double);
};
const Named kFunctions[] = {
    {"exp", &MathKernels<float>::exp, [](double x) { return std::exp(x); }},
    {"log", &MathKernels<float>::log, [](double x) { return std::log(x); }},
    {"sigmoid", &MathKernels<float>::sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }},
    {"silu", &MathKernels<float>::silu, [](double x) { return x < -1e30 ? -0.0 : x / (1 + std::exp(-x)); }},
    {"softplus", &MathKernels<float>::softplus,
     [](double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }},
    {"tanh", &MathKernels<float>::tanh, [](double x) { return std::tanh(x); }},
};

// Every exponent and both signs, with the first, last and many random mantissas; the range where things happen again,
// densely; then the special values. Denormals are among them.
std::vector<float> all_exponents() {
  Rng rng(1, Purpose::kTest, 0);
  std::vector<float> v = special_values();
  for (uint32_t high = 0; high < 512; ++high) {
    for (int i = 0; i < 600; ++i) {
      uint32_t mantissa = i == 0 ? 0 : i == 1 ? 0x7fffff : rng.next_u32() >> 9;
      v.push_back(std::bit_cast<float>(high << 23 | mantissa));
    }
  }
  for (int i = 0; i < 200'000; ++i) v.push_back(static_cast<float>((rng.uniform() * 2 - 1) * 106));
  for (int i = 0; i < 50'000; ++i) v.push_back(static_cast<float>(1 + (rng.uniform() - 0.5)));
  return v;
}

double ulps(float got, double want) {
  constexpr double kSmallest = 1.1754943508222875e-38;
  if (std::isnan(want)) return std::isnan(got) ? 0 : HUGE_VAL;
  if (std::fabs(want) < kSmallest) return std::fabs(static_cast<double>(got)) <= kSmallest ? 0 : HUGE_VAL;
  auto nearest = static_cast<float>(want);
  if (std::isinf(nearest))
    return got == nearest || (std::fabs(got) > 3.4e38f && (got > 0) == (want > 0)) ? 0 : HUGE_VAL;
  return std::fabs(static_cast<double>(got) - want) / std::ldexp(1.0, std::ilogb(want) - 23);
}

double flushed(float x) {
  return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0, static_cast<double>(x)) : static_cast<double>(x);
}

TEST(Math, EveryFunctionIsWithinTwoUlpOverAllExponents) {
  flush_denormals();
  auto x = all_exponents();
  std::vector<float> y(x.size());
  for (const Named& f : kFunctions) {
    (kernels_for(best_isa()).math.*f.function)(x.data(), y.data(), static_cast<int64_t>(x.size()));
    double worst = 0;
    float where = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      double error = ulps(y[i], f.exact(flushed(x[i])));
      if (error > worst) worst = error, where = x[i];
    }
    EXPECT_LE(worst, 2) << f.name << " at " << where;
    RecordProperty(f.name, std::to_string(worst));
  }
}

class MathTest : public EveryTier {};

TEST_P(MathTest, FunctionsEqualTheScalarOnes) {
  auto x = all_exponents();
  std::vector<float> want(x.size()), got(x.size());
  for (const Named& f : kFunctions) {
    (scalar().math.*f.function)(x.data(), want.data(), static_cast<int64_t>(x.size()));
    (tier().math.*f.function)(x.data(), got.data(), static_cast<int64_t>(x.size()));
    for (size_t i = 0; i < x.size(); ++i) ASSERT_TRUE(same(want[i], got[i])) << f.name << " of " << x[i];
  }
}

TEST_P(MathTest, PrimitivesEqualTheScalarOnesForEveryNumberOfLanes) {
  Rng rng(3, Purpose::kTest, 1);
  auto specials = special_values();
  auto value = [&](Primitive p) {
    if (p == Primitive::kExp2Integer) return static_cast<float>(rng.between(-126, 127));
    if (p == Primitive::kMantissa || p == Primitive::kExponent) {
      return std::bit_cast<float>(static_cast<uint32_t>(rng.between(0x00800000, 0x7f7fffff)));
    }
    if (rng.below(2) == 0) return specials[rng.below(specials.size())];
    if (rng.below(4) == 0) return static_cast<float>(rng.between(-9, 9)) * 0.5f;  // ties
    return normal(rng) * (rng.below(2) == 0 ? 1.0f : 1e30f);
  };
  for (int round = 0; round < 300; ++round) {
    for (int what = 0; what < static_cast<int>(Primitive::kCount); ++what) {
      auto p = static_cast<Primitive>(what);
      int n = round < 17 ? round : 16;
      std::vector<float> in[3];
      for (auto& v : in) {
        for (int i = 0; i < n; ++i) v.push_back(value(p));  // exactly n: reading beyond is an error under asan
      }
      size_t size =
          n == 0 && p != Primitive::kReduceAdd && p != Primitive::kReduceMax ? 1 : static_cast<size_t>(std::max(n, 1));
      std::vector<float> want(size, 7), got(size, 7);
      scalar().math.probe(p, in[0].data(), in[1].data(), in[2].data(), n, want.data());
      tier().math.probe(p, in[0].data(), in[1].data(), in[2].data(), n, got.data());
      ASSERT_TRUE(same_bytes(want, got)) << "primitive " << what << " on " << n << " lanes";
    }
  }
}

TEST_P(MathTest, RoundingToBf16EqualsTheDefinition) {
  Rng rng(4, Purpose::kTest, 2);
  auto check = [&](const std::vector<float>& x) {
    float got[16];
    for (size_t i = 0; i + 16 <= x.size(); i += 16) {
      tier().math.probe(Primitive::kRoundBf16, x.data() + i, x.data() + i, x.data() + i, 16, got);
      for (size_t j = 0; j < 16; ++j) ASSERT_TRUE(same(bf16_to_f32(f32_to_bf16(x[i + j])), got[j])) << x[i + j];
    }
  };
  std::vector<float> x = special_values();
  for (int i = 0; i < 400'000; ++i) x.push_back(std::bit_cast<float>(rng.next_u32()));
  for (uint32_t high = 0; high < 65536; ++high) {  // exact ties, and both neighbours
    for (uint32_t low : {0x7fffu, 0x8000u, 0x8001u}) x.push_back(std::bit_cast<float>(high << 16 | low));
  }
  x.resize(x.size() / 16 * 16);
  check(x);
}

UNHA_EVERY_TIER(MathTest);

TEST(Math, ReductionsFoldLanesEightFourTwoOne) {
  flush_denormals();
  Rng rng(5, Purpose::kTest, 3);
  auto x = normals(rng, 16);
  auto lanes = x;
  for (size_t w = 8; w >= 1; w /= 2) {
    for (size_t i = 0; i < w; ++i) lanes[i] = lanes[i] + lanes[i + w];
  }
  float got = 0;
  kernels_for(Isa::kScalar).math.probe(Primitive::kReduceAdd, x.data(), x.data(), x.data(), 16, &got);
  EXPECT_EQ(got, lanes[0]);
}

}  // namespace
}  // namespace unha::kernels
