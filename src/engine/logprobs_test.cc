// SPDX-License-Identifier: Apache-2.0
#include "engine/logprobs.h"

#include <gtest/gtest.h>

#include <cmath>

namespace unha {
namespace {

TEST(Logprobs, AreTheLogSoftmaxOfTheRow) {
  std::vector<float> logits = {1.5F, -2.0F, 80.0F, 79.25F, 3.0F};
  double sum = 0;
  for (float x : logits) sum += std::exp(static_cast<double>(x) - 80.0);
  for (int32_t id = 0; id < 5; ++id) {
    double expected = static_cast<double>(logits[static_cast<size_t>(id)]) - 80.0 - std::log(sum);
    EXPECT_NEAR(token_logprob(logits, id, 0).logprob, expected, 1e-12);
  }
  EXPECT_TRUE(token_logprob(logits, 0, 0).top.empty());
}

TEST(Logprobs, TheMostProbableComeFirstAndTiesGoToTheLowerId) {
  std::vector<float> logits = {2.0F, 3.0F, 2.0F, 3.0F, -1.0F};
  TokenLogprob row = token_logprob(logits, 4, 3);
  ASSERT_EQ(row.top.size(), 3U);
  EXPECT_EQ(row.top[0].first, 1);
  EXPECT_EQ(row.top[1].first, 3);
  EXPECT_EQ(row.top[2].first, 0);
  EXPECT_EQ(row.top[0].second, row.top[1].second);
  EXPECT_DOUBLE_EQ(row.top[0].second - row.logprob, 4.0);
  EXPECT_EQ(token_logprob(logits, 0, 100).top.size(), 5U);
}

}  // namespace
}  // namespace unha
