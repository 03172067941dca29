// SPDX-License-Identifier: Apache-2.0
#include "kernels/peak.h"

#include <gtest/gtest.h>

#include "kernels/kernels.h"

namespace unha {
namespace {

TEST(Peak, EverySliceReportsTheWorkItDid) {
  for (Isa isa : available_isas()) {
    const auto& peak = kernels::kernels_for(isa).peak;
    double keep = 0;
    EXPECT_EQ(peak.fma(100, &keep), 2 * peak.fma(50, &keep));
    if (peak.dot_bf16 != nullptr) {
      EXPECT_EQ(peak.dot_bf16(100, &keep), 2 * peak.dot_bf16(50, &keep));
    }
    std::vector<float> x(640);
    x[639] = 3;
    EXPECT_EQ(peak.read(x.data(), 640), 3);
  }
}

TEST(Peak, LimitsArePositiveAndNamed) {
  Threads threads(2);
  MachineLimits limits = measure_limits(threads);
  for (const MachineLimit& row : limits.rows()) {
    EXPECT_GT(row.one, 0) << row.name;
    EXPECT_GT(row.all, 0) << row.name;
  }
  EXPECT_GT(limits.of(Numerics::kBF16x2).all, 0);
  EXPECT_GE(limits.fastest().all, limits.fma_f32.all);
}

}  // namespace
}  // namespace unha
