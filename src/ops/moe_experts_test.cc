// SPDX-License-Identifier: Apache-2.0
#include "ops/moe_experts.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "ops/add.h"
#include "ops/grad_check.h"
#include "ops/linear.h"
#include "ops/swiglu.h"

namespace unha {
namespace {

using ops::ExpertWeights;
using ops::RouteConfig;
using ops::Scoring;
using ops::TopK;

// A layer of experts over weights of one type, with its router.
template <class R>
struct Layer {
  struct Held {
    std::vector<R> value, grad;
    Weight weight;
  };
  std::vector<std::unique_ptr<Held>> held;
  std::vector<ExpertWeights> experts;
  ExpertWeights shared;
  Weight* gate = nullptr;

  Weight* weight(int64_t rows, int64_t cols) {
    auto h = std::make_unique<Held>();
    Rng rng(17, Purpose::kTest, held.size());
    for (int64_t i = 0; i < rows * cols; ++i)
      h->value.push_back(static_cast<R>(0.4 * rng.normal_at(static_cast<uint64_t>(i))));
    h->grad.assign(h->value.size(), 0);
    h->weight.value = Tensor(h->value.data(), DTypeOf<R>::kValue, rows, cols);
    h->weight.grad = Tensor(h->grad.data(), DTypeOf<R>::kValue, rows, cols);
    held.push_back(std::move(h));
    return &held.back()->weight;
  }
  Layer(int64_t E, int64_t D, int64_t F, int64_t shared_F) {
    for (int64_t e = 0; e < E; ++e) experts.push_back({weight(F, D), weight(F, D), weight(D, F)});
    shared = {weight(shared_F, D), weight(shared_F, D), weight(D, shared_F)};
    gate = weight(E, D);
  }
};

RouteConfig config_of(int64_t E, int64_t K) { return {E, K, 1, 1, Scoring::kSigmoid, TopK::kNoAuxTc, true, 1.5}; }

TEST(MoeExperts, GradientsAgreeWithCentralDifferences) {
  struct Case {
    int64_t N, E, K, D, F, shared_F;  // shared_F 0: none
  };
  for (Case c : {Case{1, 2, 1, 3, 2, 0}, Case{7, 5, 2, 9, 5, 3}, Case{23, 4, 3, 17, 33, 34}, Case{5, 40, 3, 8, 4, 8}}) {
    GradCheck check(7);
    check.input(c.N, c.D);
    std::vector<ExpertWeights> experts;
    auto expert = [&](int64_t F) {
      return ExpertWeights{&check.weight_at(check.weight(F, c.D, 0.5)), &check.weight_at(check.weight(F, c.D, 0.5)),
                           &check.weight_at(check.weight(c.D, F, 0.5))};
    };
    Weight& gate = check.weight_at(check.weight(c.E, c.D, 0.5));
    for (int64_t e = 0; e < c.E; ++e) experts.push_back(expert(c.F));
    ExpertWeights shared = c.shared_F != 0 ? expert(c.shared_F) : ExpertWeights{};
    check.run(
        [&](Ctx& ctx, const std::vector<Tensor>& in) {
          auto routing = ops::moe_route(ctx, in[0], gate, nullptr, config_of(c.E, c.K));
          return ops::moe_experts(ctx, in[0], routing, experts, c.shared_F != 0 ? &shared : nullptr);
        },
        1e-6, 16);
  }
}

TEST(MoeExperts, GiveSharedPlusOneExpertIfAllAreEqual) {
  Layer<double> layer(6, 11, 5, 7);
  for (auto& e : layer.experts) e = layer.experts[0];
  Arena arena;
  Threads threads(2);
  Ctx ctx = make_ctx(arena, threads, Numerics::kF64, Isa::kScalar);
  Tensor x = layer.weight(9, 11)->value;
  auto config = config_of(6, 2);
  config.routed_scaling_factor = 1;  // normalised weights add up to one
  auto routing = ops::moe_route(ctx, x, *layer.gate, nullptr, config);
  Tensor y = ops::moe_experts(ctx, x, routing, layer.experts, &layer.shared);
  auto mlp = [&](const ExpertWeights& w) {
    return ops::linear(ctx, ops::swiglu(ctx, ops::linear(ctx, x, *w.gate), ops::linear(ctx, x, *w.up)), *w.down);
  };
  Tensor want = ops::add(ctx, mlp(layer.experts[0]), mlp(layer.shared));
  for (int64_t i = 0; i < y.size(); ++i) EXPECT_NEAR(y.data<double>()[i], want.data<double>()[i], 1e-12);
}

TEST(MoeExperts, EqualAWeightedDenseMixtureIfEveryTokenTakesAll) {
  Layer<double> layer(4, 10, 6, 3);
  Arena arena;
  Threads threads(2);
  Ctx ctx = make_ctx(arena, threads, Numerics::kF64, Isa::kScalar);
  Tensor x = layer.weight(8, 10)->value;
  auto routing = ops::moe_route(ctx, x, *layer.gate, nullptr, config_of(4, 4));
  Tensor y = ops::moe_experts(ctx, x, routing, layer.experts, nullptr);
  std::vector<double> want(static_cast<size_t>(y.size()));
  for (int64_t e = 0; e < 4; ++e) {
    const auto& w = layer.experts[static_cast<size_t>(e)];
    Tensor one = ops::linear(ctx, ops::swiglu(ctx, ops::linear(ctx, x, *w.gate), ops::linear(ctx, x, *w.up)), *w.down);
    for (int64_t i = 0; i < one.size(); ++i) {
      want[static_cast<size_t>(i)] += routing.weights.row<double>(i / 10)[e] * one.data<double>()[i];
    }
  }
  for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(y.data<double>()[i], want[i], 1e-12);
}

// Output, d_x and all weight gradients of a step over the first N of 300 tokens.
std::vector<float> step(Numerics numerics, Isa isa, int n_threads, int64_t N = 300, bool train = true) {
  constexpr int64_t D = 37, E = 5;
  Layer<float> layer(E, D, 18, 35);
  Tensor tokens = layer.weight(300, D)->value;
  // Expert 2 never wins: its gradients must stay as they were.
  std::vector<float> bias = {0, 0, -5, 0, 0};
  Weight b;
  b.value = Tensor(bias.data(), DType::kF32, 1, E);
  Threads threads(n_threads);
  Arena arena;
  Tape tape;
  Ctx ctx = make_ctx(arena, threads, numerics, isa);
  if (train) ctx.tape = &tape;
  Tensor x = tokens.slice_rows(0, N);
  std::vector<float> out, d_x;
  if (train) {
    x = tape.track(x);
    tape.record("read", [&] { d_x.assign(tape.grad(x).data<float>(), tape.grad(x).data<float>() + x.size()); });
  }
  auto routing = ops::moe_route(ctx, x, *layer.gate, &b, config_of(E, 2));
  Tensor y = ops::moe_experts(ctx, x, routing, layer.experts, &layer.shared);
  out.assign(y.data<float>(), y.data<float>() + y.size());
  if (!train) return out;
  Rng rng(21, Purpose::kTest, 0);
  Tensor d_y = tape.grad(y);
  for (int64_t i = 0; i < d_y.size(); ++i)
    d_y.data<float>()[i] = static_cast<float>(rng.normal_at(static_cast<uint64_t>(i)));
  tape.backward();
  out.insert(out.end(), d_x.begin(), d_x.end());
  for (const auto& h : layer.held) out.insert(out.end(), h->grad.begin(), h->grad.end());
  for (const Weight* w : {layer.experts[2].gate, layer.experts[2].up, layer.experts[2].down}) {
    for (int64_t i = 0; i < w->grad.size(); ++i) EXPECT_EQ(w->grad.data<float>()[i], 0);
  }
  for (float v : out) EXPECT_TRUE(std::isfinite(v));
  return out;
}

bool same(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

TEST(MoeExperts, GiveTheSameBytesOnEveryTierAndForAnyThreads) {
  for (auto numerics : {Numerics::kF32, Numerics::kBF16x2}) {
    auto want = step(numerics, Isa::kScalar, 1);
    for (Isa isa : available_isas()) {
      for (int threads : {1, 2, 3}) EXPECT_TRUE(same(want, step(numerics, isa, threads))) << isa_name(isa) << threads;
    }
  }
}

TEST(MoeExperts, GiveTheSameBytesWhetherFewOrManyTokensShareLargeExperts) {
  constexpr int64_t D = 515, F = 517, E = 3, N = 70;
  Layer<float> layer(E, D, F, 130);
  Tensor x = layer.weight(N, D)->value;
  for (auto numerics : {Numerics::kF32, Numerics::kBF16x2}) {
    for (auto& h : layer.held) ++h->weight.version;
    auto run = [&](int n_threads, int64_t rows) {
      Threads threads(n_threads);
      Arena arena;
      Ctx ctx = make_ctx(arena, threads, numerics, best_isa());
      Tensor some = x.slice_rows(0, rows);
      auto routing = ops::moe_route(ctx, some, *layer.gate, nullptr, config_of(E, 2));
      Tensor y = ops::moe_experts(ctx, some, routing, layer.experts, &layer.shared);
      return std::vector<float>(y.data<float>(), y.data<float>() + y.size());
    };
    auto all = run(1, N);  // tiles
    for (int64_t rows : {1, 2, 5, 20}) {
      auto few = run(3, rows);  // columns
      EXPECT_EQ(std::memcmp(all.data(), few.data(), few.size() * sizeof(float)), 0) << rows;
    }
  }
}

TEST(MoeExperts, GiveATokenTheSameBytesWhateverItsCompany) {
  for (auto numerics : {Numerics::kF32, Numerics::kBF16x2}) {
    auto all = step(numerics, best_isa(), 2, 300, false);
    for (int64_t N : {1, 2, 8, 9, 37, 130}) {
      auto few = step(numerics, best_isa(), 2, N, false);
      EXPECT_EQ(std::memcmp(all.data(), few.data(), few.size() * sizeof(float)), 0) << N;
    }
    auto trained = step(numerics, best_isa(), 2, 300, true);
    EXPECT_EQ(std::memcmp(all.data(), trained.data(), all.size() * sizeof(float)), 0);
  }
}

}  // namespace
}  // namespace unha
