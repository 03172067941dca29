// SPDX-License-Identifier: Apache-2.0
#include "ops/moe_route.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "ops/grad_check.h"

namespace unha {
namespace {

using ops::RouteConfig;
using ops::Routing;
using ops::Scoring;
using ops::TopK;

// Routes one token whose logits are z: x = [1], gate = z as a column.
struct Routed {
  std::vector<int32_t> ids;
  std::vector<float> weights, scores;
  std::vector<int64_t> counts;
};
Routed route(std::vector<float> z, std::vector<float> bias, const RouteConfig& config) {
  Arena arena;
  Threads threads(1);
  Ctx ctx = make_ctx(arena, threads, Numerics::kBF16x2, best_isa());  // the router stays f32
  float one = 1;
  auto E = config.n_routed_experts, K = config.num_experts_per_tok;
  Weight gate, b;
  gate.value = Tensor(z.data(), DType::kF32, E, 1);
  b.value = Tensor(bias.data(), DType::kF32, 1, E);
  Routing r = ops::moe_route(ctx, Tensor(&one, DType::kF32, 1, 1), gate, bias.empty() ? nullptr : &b, config);
  Routed result;
  result.ids.assign(r.ids.data<int32_t>(), r.ids.data<int32_t>() + K);
  result.weights.assign(r.weights.data<float>(), r.weights.data<float>() + K);
  result.scores.assign(r.scores.data<float>(), r.scores.data<float>() + E);
  result.counts.assign(r.counts.data<int64_t>(), r.counts.data<int64_t>() + E);
  return result;
}

const std::vector<float> kLogits = {2, -1, 1.5f, 1.4f, 0.3f, 0.2f, 1.9f, -3};

TEST(MoeRoute, ChoosesAsVersion3Does) {
  RouteConfig config{8, 2, 4, 2, Scoring::kSigmoid, TopK::kNoAuxTc, true, 2.5};
  Routed r = route(kLogits, {0, 0, 0, 0, 0.30f, 0.25f, -0.2f, 0}, config);
  EXPECT_EQ(r.ids, (std::vector<int32_t>{2, 4}));
  EXPECT_NEAR(r.weights[0], 1.468327, 1e-6);
  EXPECT_NEAR(r.weights[1], 1.031673, 1e-6);
  const double scores[8] = {.880797, .268941, .817574, .802184, .574443, .549834, .869892, .047426};
  for (size_t e = 0; e < 8; ++e) EXPECT_NEAR(r.scores[e], scores[e], 1e-6);
  EXPECT_EQ(r.counts, (std::vector<int64_t>{0, 0, 1, 0, 1, 0, 0, 0}));
}

TEST(MoeRoute, ChoosesAsVersion2Does) {
  RouteConfig config{8, 2, 4, 2, Scoring::kSoftmax, TopK::kGroupLimitedGreedy, false, 16};
  Routed r = route(kLogits, {}, config);
  EXPECT_EQ(r.ids, (std::vector<int32_t>{0, 6}));
  EXPECT_NEAR(r.weights[0], 4.618022, 1e-5);
  EXPECT_NEAR(r.weights[1], 4.178559, 1e-5);
}

TEST(MoeRoute, NormalisesInsteadOfScalingInVersion2) {
  RouteConfig config{8, 2, 1, 1, Scoring::kSoftmax, TopK::kGreedy, true, 16};
  Routed r = route(kLogits, {}, config);
  EXPECT_EQ(r.ids, (std::vector<int32_t>{0, 6}));
  EXPECT_NEAR(r.weights[0], .288626 / (.288626 + .26116), 1e-5);
  config.num_experts_per_tok = 1;  // a single expert is scaled
  EXPECT_NEAR(route(kLogits, {}, config).weights[0], 16 * .288626, 1e-4);
}

TEST(MoeRoute, GivesTiesToTheLowerId) {
  RouteConfig config{6, 2, 3, 2, Scoring::kSigmoid, TopK::kNoAuxTc, true, 1};
  EXPECT_EQ(route({1, 1, 1, 1, 1, 1}, {}, config).ids, (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(route({0, 1, 0, 1, 1, 0}, {}, config).ids, (std::vector<int32_t>{1, 3}));
}

TEST(MoeRoute, KeepsToTheChosenGroupsWhenBiasedScoresAreNegative) {
  RouteConfig config{4, 2, 2, 1, Scoring::kSigmoid, TopK::kNoAuxTc, false, 1};
  EXPECT_EQ(route({5, -5, 1, 0}, {0, -1, -0.9f, -0.9f}, config).ids, (std::vector<int32_t>{0, 1}));
}

TEST(MoeRoute, LetsTheBiasMoveTheChoiceButNotTheScores) {
  RouteConfig config{8, 3, 1, 1, Scoring::kSigmoid, TopK::kNoAuxTc, false, 1};
  Routed plain = route(kLogits, {}, config);
  Routed biased = route(kLogits, {0, 0, 0, 0, 0, 0, 0, 1}, config);
  EXPECT_EQ(plain.ids, (std::vector<int32_t>{0, 2, 6}));
  EXPECT_EQ(biased.ids, (std::vector<int32_t>{0, 6, 7}));
  EXPECT_EQ(plain.scores, biased.scores);
  EXPECT_EQ(plain.weights[0], biased.weights[0]);
  EXPECT_EQ(plain.weights[2], biased.weights[1]);
}

TEST(MoeRoute, ChoosesDistinctExpertsEvenAmongNaNs) {
  float nan = std::numeric_limits<float>::quiet_NaN();
  RouteConfig config{6, 2, 3, 2, Scoring::kSigmoid, TopK::kNoAuxTc, true, 1};
  Routed r = route({nan, nan, nan, nan, nan, nan}, {}, config);
  EXPECT_LT(r.ids[0], r.ids[1]);
  EXPECT_GE(r.ids[0], 0);
  EXPECT_LT(r.ids[1], 6);
}

TEST(MoeRoute, GradientsAgreeWithCentralDifferences) {
  for (auto scoring : {Scoring::kSigmoid, Scoring::kSoftmax}) {
    for (bool normalise : {true, false}) {
      for (auto topk : {TopK::kGreedy, TopK::kGroupLimitedGreedy, TopK::kNoAuxTc}) {
        RouteConfig config{12, 3, 4, 2, scoring, topk, normalise, 2.5};
        GradCheck check(5);
        check.input(9, 21);
        auto gate = check.weight(12, 21, 0.5);
        check.run([&](Ctx& ctx, const std::vector<Tensor>& in) {
          return ops::moe_route(ctx, in[0], check.weight_at(gate), nullptr, config).weights;
        });
        check.run([&](Ctx& ctx, const std::vector<Tensor>& in) {
          return ops::moe_route(ctx, in[0], check.weight_at(gate), nullptr, config).scores;
        });
      }
    }
  }
}

}  // namespace
}  // namespace unha
