// SPDX-License-Identifier: Apache-2.0
// For tests of kernels: one test per tier, skipped with a reason where the machine lacks it, and == on bytes.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "base/rng.h"
#include "base/threads.h"
#include "kernels/kernels.h"

namespace unha::kernels {

// Bytes equal; NaNs compare as NaN.
template <class T>
bool same(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  }
  return std::memcmp(&a, &b, sizeof(T)) == 0;
}
template <class T>
testing::AssertionResult same_bytes(const std::vector<T>& want, const std::vector<T>& got) {
  if (want.size() != got.size())
    return testing::AssertionFailure() << want.size() << " and " << got.size() << " values";
  for (size_t i = 0; i < want.size(); ++i) {
    if (!same(want[i], got[i])) {
      return testing::AssertionFailure() << "value " << i << ": expected " << want[i] << ", found " << got[i];
    }
  }
  return testing::AssertionSuccess();
}

inline float normal(Rng& rng) {  // near enough
  return static_cast<float>(rng.uniform() + rng.uniform() + rng.uniform() - 1.5) * 2;
}
inline std::vector<float> normals(Rng& rng, int64_t n) {
  std::vector<float> v(static_cast<size_t>(n));
  for (float& x : v) x = normal(rng);
  return v;
}

// Infinities, NaN, zeros of both signs, denormals, the ends of the range, and what rounding to bf16 finds hard.
inline std::vector<float> special_values() {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  std::vector<float> v = {0.0f,
                          kInf,
                          std::numeric_limits<float>::max(),
                          1.0f,
                          1.00390625f,
                          1.0039063f,
                          1.01171875f,
                          1e-45f,
                          1.1754942e-38f,
                          1.17549435e-38f,
                          1.1772e-38f,
                          3.3895314e38f,
                          3.4e38f,
                          1e-30f,
                          1e30f,
                          0.5f,
                          88.72f,
                          104.0f,
                          1e-20f};
  for (size_t i = 0, n = v.size(); i < n; ++i) v.push_back(-v[i]);
  v.push_back(std::numeric_limits<float>::quiet_NaN());
  v.push_back(std::bit_cast<float>(0x7f800001u));  // signalling, and its payload vanishes in bf16
  v.push_back(std::bit_cast<float>(0xff80ffffu));
  return v;
}

class EveryTier : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    flush_denormals();
    auto have = available_isas();
    if (std::find(have.begin(), have.end(), GetParam()) == have.end()) {
      GTEST_SKIP() << "this machine has no " << isa_name(GetParam());
    }
    tier_ = &kernels_for(GetParam());
  }
  const Kernels<float>& scalar() const { return kernels_for(Isa::kScalar); }
  const Kernels<float>& tier() const { return *tier_; }

 private:
  const Kernels<float>* tier_ = nullptr;
};

// UNHA_EVERY_TIER(GemmTest): the suite runs on every tier but the scalar one, which is the definition.
#define UNHA_EVERY_TIER(suite)                                                                                  \
  INSTANTIATE_TEST_SUITE_P(Tier, suite, testing::Values(Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16, Isa::kAmx), \
                           [](const testing::TestParamInfo<Isa>& isa) { return std::string(isa_name(isa.param)); })

}  // namespace unha::kernels
