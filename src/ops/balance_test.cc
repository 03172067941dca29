// SPDX-License-Identifier: Apache-2.0
#include "ops/balance.h"

#include <gtest/gtest.h>

#include <array>

#include "ops/grad_check.h"

namespace unha {
namespace {

using ops::RouteConfig;
using ops::Scoring;
using ops::TopK;

TEST(BalanceLoss, IsAlphaForPerfectlyEvenScores) {
  Arena arena;
  Threads threads(1);
  Ctx ctx = make_ctx(arena, threads, Numerics::kF64, Isa::kScalar);
  // Two tokens, each all for one of two experts: f = 1 and P = 1/2 for both.
  std::array<double, 4> scores = {0.8, 0.2, 0.2, 0.8};
  ops::Routing routing;
  routing.scores = Tensor(scores.data(), DType::kF64, 2, 2);
  RouteConfig config{2, 1, 1, 1, Scoring::kSigmoid, TopK::kNoAuxTc, true, 1};
  std::array<Segment, 1> whole = {Segment{0, 2, 0}};
  EXPECT_NEAR(*ops::balance_loss(ctx, routing, whole, config, 0.25).data<double>(), 0.25, 1e-15);
  // Segments of one token each: f = 2 for the chosen one, P = 0.8.
  std::array<Segment, 2> halves = {Segment{0, 1, 0}, Segment{1, 1, 0}};
  EXPECT_NEAR(*ops::balance_loss(ctx, routing, halves, config, 0.25).data<double>(), 0.25 * 1.6, 1e-15);
}

TEST(BalanceLoss, GradientAgreesWithCentralDifferences) {
  for (auto scoring : {Scoring::kSigmoid, Scoring::kSoftmax}) {
    RouteConfig config{9, 2, 3, 2, scoring, TopK::kNoAuxTc, true, 2.5};
    std::array<Segment, 3> segments = {Segment{0, 5, 0}, Segment{5, 1, 0}, Segment{6, 7, 0}};
    Threads threads(2);
    Rng rng(6, Purpose::kTest, 0);
    std::vector<double> x(13 * 8), gate(9 * 8), d_gate(gate.size());
    for (size_t i = 0; i < x.size(); ++i) x[i] = rng.normal_at(i);
    for (size_t i = 0; i < gate.size(); ++i) gate[i] = rng.normal_at(1000 + i);
    Weight w;
    w.value = Tensor(gate.data(), DType::kF64, 9, 8);
    auto loss = [&](Tape* tape) {
      Arena arena;
      Ctx ctx = make_ctx(arena, threads, Numerics::kF64, Isa::kScalar);
      ctx.tape = tape;
      ++w.version;
      auto routing = ops::moe_route(ctx, Tensor(x.data(), DType::kF64, 13, 8), w, nullptr, config);
      double value = *ops::balance_loss(ctx, routing, segments, config, 3.0).data<double>();
      if (tape != nullptr) tape->backward();
      return value;
    };
    Tape tape;
    w.grad = Tensor(d_gate.data(), DType::kF64, 9, 8);
    loss(&tape);
    for (size_t i = 0; i < gate.size(); ++i) {
      double x0 = gate[i];
      gate[i] = x0 + 1e-5;
      double up = loss(nullptr);
      gate[i] = x0 - 1e-5;
      double down = loss(nullptr);
      gate[i] = x0;
      EXPECT_NEAR(d_gate[i], (up - down) / 2e-5, 1e-6);
    }
  }
}

}  // namespace
}  // namespace unha
