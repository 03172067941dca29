// SPDX-License-Identifier: Apache-2.0
#include "base/exact_math.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "base/rng.h"

namespace unha {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

double relative_error(double got, long double want) {
  if (want == 0) return std::fabs(got);
  return static_cast<double>(std::fabs((static_cast<long double>(got) - want) / want));
}

TEST(ExactMath, SineAndCosineAreGoodToFifteenDigits) {
  Rng rng(1, Purpose::kTest, 0);
  double worst = 0;
  for (uint64_t i = 0; i < 20000; ++i) {
    double magnitude = std::ldexp(1.0 + rng.uniform(), static_cast<int>(i % 60) - 31);
    double x = i % 2 == 0 ? magnitude : -magnitude;
    worst = std::max(worst, relative_error(exact::sin(x), sinl(x)));
    worst = std::max(worst, relative_error(exact::cos(x), cosl(x)));
  }
  for (int k = 1; k < 20000; ++k) {  // next to multiples of pi / 2, where the reduction cancels
    double x = k * 1.5707963267948966;
    worst = std::max(worst, relative_error(exact::sin(x), sinl(x)));
    worst = std::max(worst, relative_error(exact::cos(x), cosl(x)));
  }
  EXPECT_LT(worst, 3e-16);
  EXPECT_EQ(exact::sin(0), 0);
  EXPECT_EQ(exact::cos(0), 1);
  EXPECT_TRUE(std::isnan(exact::sin(kInf)));
}

TEST(ExactMath, ExponentialLogarithmAndPowerAreGoodToFifteenDigits) {
  Rng rng(2, Purpose::kTest, 0);
  double worst = 0;
  for (int i = 0; i < 20000; ++i) {
    double x = (rng.uniform() * 2 - 1) * 700;
    worst = std::max(worst, relative_error(exact::exp(x), expl(x)));
    double small = std::ldexp(x, -(i % 60));
    worst = std::max(worst, relative_error(exact::exp(small), expl(small)));
    double any = std::ldexp(1 + rng.uniform(), i % 2000 - 1000);
    worst = std::max(worst, relative_error(exact::log(any), logl(any)));
    double near_one = 1 + (rng.uniform() - 0.5) * 0.01;
    worst = std::max(worst, relative_error(exact::log(near_one), logl(near_one)));
    double exponent = (rng.uniform() * 2 - 1) * 30;
    double base = std::ldexp(1 + rng.uniform(), i % 40 - 20);
    worst = std::max(worst, relative_error(exact::pow(base, exponent), powl(base, exponent)));
  }
  EXPECT_LT(worst, 4e-16);
}

TEST(ExactMath, SpecialValuesAreDefined) {
  EXPECT_EQ(exact::exp(0), 1);
  EXPECT_EQ(exact::exp(-kInf), 0);
  EXPECT_EQ(exact::exp(kInf), kInf);
  EXPECT_EQ(exact::exp(-745), 0);
  EXPECT_EQ(exact::log(1), 0);
  EXPECT_EQ(exact::log(0), -kInf);
  EXPECT_EQ(exact::log(kInf), kInf);
  EXPECT_TRUE(std::isnan(exact::log(-1)));
  EXPECT_EQ(exact::pow(10000, 0), 1);
  EXPECT_EQ(exact::pow(2, 10), 1024);
  EXPECT_TRUE(std::isnan(exact::pow(-1, 2)));
  EXPECT_TRUE(std::isnan(exact::exp(std::nan(""))));
}

TEST(ExactMath, BytesAreTheSameOnEveryMachine) {
  uint64_t digest = 0;
  for (int i = 0; i < 64; ++i) {
    double frequency = exact::pow(10000, -i / 64.0);
    for (double v :
         {frequency, exact::sin(1000 * frequency), exact::cos(1000 * frequency), exact::log(1 + frequency)}) {
      digest = digest * 0x9e3779b97f4a7c15u + std::bit_cast<uint64_t>(v);
    }
  }
  EXPECT_EQ(digest, 2386309461828284767u);
}

}  // namespace
}  // namespace unha
