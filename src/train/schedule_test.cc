// SPDX-License-Identifier: Apache-2.0
#include "train/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

namespace unha {

TEST(Schedule, HasTheTabulatedShapeOfV3) {
  ScheduleConfig c;
  c.warmup_steps = 20;
  const int64_t S = 1000;
  EXPECT_DOUBLE_EQ(lr_factor(c, 0, S), 1.0 / 20);
  EXPECT_DOUBLE_EQ(lr_factor(c, 9, S), 0.5);
  EXPECT_DOUBLE_EQ(lr_factor(c, 19, S), 1);
  EXPECT_DOUBLE_EQ(lr_factor(c, 500, S), 1);
  EXPECT_DOUBLE_EQ(lr_factor(c, 675, S), 1);
  EXPECT_DOUBLE_EQ(lr_factor(c, 676, S), 1);
  EXPECT_NEAR(lr_factor(c, 800, S), 0.1 + 0.9 * 0.5 * (1 + std::cos(3.14159265358979 * 0.124 / 0.290)), 1e-12);
  EXPECT_DOUBLE_EQ(lr_factor(c, 966, S), 0.1);
  EXPECT_DOUBLE_EQ(lr_factor(c, 988, S), 0.1);
  EXPECT_DOUBLE_EQ(lr_factor(c, 989, S), 0.0332);
  EXPECT_DOUBLE_EQ(lr_factor(c, 1000, S), 0.0332);
}

TEST(Schedule, SwitchesMtpAtThePlateausEndAndTheBiasesAtTheCosines) {
  ScheduleConfig c;
  for (auto [step, mtp, gamma] : {std::tuple{0, 0.3, 1e-3},
                                  {10, 0.3, 1e-3},
                                  {500, 0.3, 1e-3},
                                  {675, 0.3, 1e-3},
                                  {676, 0.1, 1e-3},
                                  {800, 0.1, 1e-3},
                                  {965, 0.1, 1e-3},
                                  {966, 0.1, 0.0},
                                  {989, 0.1, 0.0},
                                  {1000, 0.1, 0.0}}) {
    EXPECT_DOUBLE_EQ(mtp_weight(c, step, 1000), mtp) << step;
    EXPECT_DOUBLE_EQ(router_bias_speed(c, step, 1000), gamma) << step;
  }
}

}  // namespace unha
