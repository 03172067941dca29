// SPDX-License-Identifier: Apache-2.0
#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"

namespace unha {
namespace {

SamplingOptions plain(double temperature) {
  SamplingOptions options;
  options.temperature = temperature;
  options.top_p = 1;
  return options;
}

TEST(Sampler, GreedyTakesTheGreatestAndOfEqualsTheLowerId) {
  std::vector<float> logits = {1, 3, -2, 3, 9};
  Sampler sampler(plain(0), 4);  // id 4 is padding
  EXPECT_EQ(sampler.draw(logits.data(), 0), 1);
  sampler.ban(1);
  EXPECT_EQ(sampler.draw(logits.data(), 0), 3);
}

TEST(Sampler, DrawsBelongToThePosition) {
  std::vector<float> logits(100);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(i % 7);
  Sampler a(plain(1), 100), b(plain(1), 100);
  std::vector<int32_t> forward, backward;
  for (int64_t p = 0; p < 50; ++p) forward.push_back(a.draw(logits.data(), p));
  for (int64_t p = 49; p >= 0; --p) backward.insert(backward.begin(), b.draw(logits.data(), p));
  EXPECT_EQ(forward, backward);
}

TEST(Sampler, FrequenciesFollowTheSoftmax) {
  std::vector<float> logits = {0, 1, 2, -100};
  Sampler sampler(plain(0.5), 4);
  std::vector<double> counts(4);
  constexpr int kDraws = 20000;
  for (int64_t p = 0; p < kDraws; ++p) counts[static_cast<size_t>(sampler.draw(logits.data(), p))] += 1.0 / kDraws;
  double sum = std::exp(0) + std::exp(2) + std::exp(4);
  EXPECT_NEAR(counts[0], 1 / sum, 0.01);
  EXPECT_NEAR(counts[1], std::exp(2) / sum, 0.01);
  EXPECT_NEAR(counts[2], std::exp(4) / sum, 0.01);
  EXPECT_EQ(counts[3], 0);
}

TEST(Sampler, TopKTopPAndMinPCutTheTail) {
  std::vector<float> logits = {std::log(0.5F), std::log(0.3F), std::log(0.15F), std::log(0.05F)};
  auto highest = [&](SamplingOptions options) {
    Sampler sampler(options, 4);
    int32_t most = 0;
    for (int64_t p = 0; p < 2000; ++p) most = std::max(most, sampler.draw(logits.data(), p));
    return most;
  };
  SamplingOptions k = plain(1), p = plain(1), m = plain(1), none = plain(1);
  k.top_k = 2;
  p.top_p = 0.9;
  m.min_p = 0.5;
  EXPECT_EQ(highest(none), 3);
  EXPECT_EQ(highest(k), 1);
  EXPECT_EQ(highest(p), 2);
  EXPECT_EQ(highest(m), 1);
}

TEST(Sampler, RepetitionPenaltyLowersWhatWasSeen) {
  std::vector<float> logits = {2, 1.5F, -1};
  SamplingOptions options = plain(0);
  options.repetition_penalty = 2;
  Sampler sampler(options, 3);
  EXPECT_EQ(sampler.draw(logits.data(), 0), 0);
  sampler.seen(0);
  EXPECT_EQ(sampler.draw(logits.data(), 1), 1);
}

TEST(Sampler, RefusesLogitsThatAreNotFiniteAndOptionsOutOfRange) {
  std::vector<float> logits = {0, std::numeric_limits<float>::quiet_NaN()};
  Sampler sampler(plain(1), 2);
  EXPECT_THROW(sampler.draw(logits.data(), 0), Error);
  SamplingOptions bad = plain(-1);
  EXPECT_THROW(check_sampling(bad), Error);
}

}  // namespace
}  // namespace unha
