// SPDX-License-Identifier: Apache-2.0
#include "train/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "train/test_model.h"

namespace unha {

// training.md 6.9: 50 steps against plain doubles.
TEST(Optimizer, AgreesWithAScalarInDouble) {
  TestModelOptions o;
  o.engram = false;
  auto model = make_test_model(test_model_config(o), Numerics::kF32);
  OptimizerConfig config;
  Optimizer optimizer(*model, config);
  Arena arena;
  Threads threads(2);
  Ctx ctx = make_ctx(arena, threads, Numerics::kF32, Isa::kScalar);
  optimizer.create(ctx, 1);
  struct Double {
    std::vector<double> w, m, v;
  };
  std::map<Param*, Double> plain;
  for (Param* p : model->params().by_name()) {
    if (!p->dense_grad()) continue;
    const float* w = p->weight.value.data<float>();
    plain[p] = {{w, w + p->size()}, std::vector<double>(p->size()), std::vector<double>(p->size())};
  }
  for (int64_t t = 1; t <= 50; ++t) {
    double lr = 1e-3 / static_cast<double>(t);
    float scale = t % 2 == 0 ? 0.5f : 1.0f;
    for (auto& [p, d] : plain) {
      Rng rng(static_cast<uint64_t>(t), Purpose::kTest, static_cast<uint64_t>(p->size()));
      bool decay = p->role == ParamRole::kMatrix || p->role == ParamRole::kHead || p->role == ParamRole::kRouter;
      for (int64_t i = 0; i < p->size(); ++i) {
        auto g = static_cast<float>(rng.normal_at(static_cast<uint64_t>(i)));
        p->weight.grad.data<float>()[i] = g;
        double gd = static_cast<double>(g) * static_cast<double>(scale);
        d.m[i] = 0.9 * d.m[i] + 0.1 * gd;
        d.v[i] = 0.99 * d.v[i] + 0.01 * gd * gd;
        double mh = d.m[i] / (1 - std::pow(0.9, t)), vh = d.v[i] / (1 - std::pow(0.99, t));
        d.w[i] -= lr * (mh / (std::sqrt(vh) + 1e-8) + (decay ? 0.1 * d.w[i] : 0));
      }
    }
    optimizer.step(ctx, t, lr, scale);
  }
  for (auto& [p, d] : plain) {
    for (int64_t i = 0; i < p->size(); ++i) {
      double w = static_cast<double>(p->weight.value.data<float>()[i]);
      ASSERT_NEAR(w, d.w[i], 2e-6 * std::max(1.0, std::fabs(d.w[i]))) << p->name << " " << i;
    }
  }
}

TEST(Optimizer, WritesTheRoundedMasterAndBumpsTheVersion) {
  auto model = make_test_model(test_model_config(), Numerics::kBF16x2);
  Optimizer optimizer(*model, {});
  Arena arena;
  Threads threads(1);
  Ctx ctx = make_ctx(arena, threads, Numerics::kBF16x2, Isa::kScalar);
  optimizer.create(ctx, 1);
  Param* head = model->params().find("lm_head.weight");
  std::vector<float> initial(static_cast<size_t>(head->size()));
  ParamStore::initial_values(*head, 1, initial.data());
  for (int64_t i = 0; i < head->size(); ++i) {
    ASSERT_EQ(head->weight.value.data<uint16_t>()[i], f32_to_bf16(initial[static_cast<size_t>(i)]));
  }
  std::map<std::string, uint64_t> before;
  for (Param* p : model->params().by_name()) before[p->name] = p->weight.version;
  optimizer.step(ctx, 1, 1e-3, 1);
  for (Param* p : model->params().by_name()) {
    if (p->dense_grad()) {
      EXPECT_GT(p->weight.version, before[p->name]) << p->name;
    }
  }
}

TEST(Optimizer, NormIsTheLengthOfAllGradients) {
  auto model = make_test_model(test_model_config(), Numerics::kF32);
  Optimizer optimizer(*model, {});
  Arena arena;
  Threads one(1), two(2);
  Ctx ctx = make_ctx(arena, one, Numerics::kF32, Isa::kScalar);
  Ctx ctx2 = make_ctx(arena, two, Numerics::kF32, Isa::kScalar);
  double sum = 0;
  auto* g = reinterpret_cast<float*>(model->params().grads());
  Rng rng(5, Purpose::kTest, 0);
  for (int64_t i = 0; i < model->params().grad_elements(); ++i) {
    g[i] = static_cast<float>(rng.normal_at(static_cast<uint64_t>(i)));
    sum += static_cast<double>(g[i]) * static_cast<double>(g[i]);
  }
  EXPECT_NEAR(optimizer.grad_norm(ctx), std::sqrt(sum), 1e-9 * std::sqrt(sum));
  EXPECT_EQ(optimizer.grad_norm(ctx), optimizer.grad_norm(ctx2));
}

}  // namespace unha
