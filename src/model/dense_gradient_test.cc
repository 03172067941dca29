// SPDX-License-Identifier: Apache-2.0
// The gradient of whole dense models along a random direction of each tensor, against central differences in double.
#include <gtest/gtest.h>

#include <cstring>

#include "model/test_dense.h"
#include "ops/head_loss.h"

namespace unha {
namespace {

struct Fixture {
  explicit Fixture(const Json& config) : threads(2), ctx(make_ctx(arena, threads, Numerics::kF64, Isa::kScalar)) {
    model = make_dense(config);
    ids = dense_ids(75);
    for (size_t i = 0; i < ids.size(); ++i) targets.push_back(i == 4 || i + 1 == ids.size() ? -1 : ids[i + 1]);
  }
  static double* values(Param& p) { return p.weight.value.data<double>(); }

  double loss(bool record) {
    arena.rewind();
    ctx.tape = record ? &tape : nullptr;
    if (record) std::memset(model->params().grads(), 0, static_cast<size_t>(model->params().grad_elements()) * 8);
    std::vector<float> weight(ids.size(), 1.0F);
    Tensor h = model->trunk(ctx, Batch{ids, segments, {}, nullptr});
    Tensor nll = ops::head_loss(ctx, model->final_norm(ctx, h), model->head(), targets, weight).nll;
    double sum = ops::sum_rows(ctx, nll);
    if (record) tape.backward();
    ctx.tape = nullptr;
    return sum;
  }

  Arena arena;
  Threads threads;
  Tape tape;
  Ctx ctx;
  std::unique_ptr<Model> model;
  std::vector<int32_t> ids, targets;
  std::vector<Segment> segments = {{0, 5, 0}, {5, 70, 0}};
};

TEST(DenseGradient, AgreesWithCentralDifferences) {
  for (int i = 0; i < kDenseVariants; ++i) {
    Fixture f(dense_variant(i));
    f.loss(true);
    constexpr double kStep = 1e-5;
    // Tensor by tensor, so that a small one's mistake cannot hide behind the large ones.
    for (Param* p : f.model->params().by_name()) {
      if (p->optional) continue;  // divisors of RoPE, taken when a model is bound
      std::vector<double> old(Fixture::values(*p), Fixture::values(*p) + p->size()), direction(old.size());
      Rng rng(7, Purpose::kTest, 1);
      double product = 0, length = 0;
      for (size_t j = 0; j < old.size(); ++j) {
        direction[j] = rng.normal_at(j);
        double g = p->weight.grad.data<double>()[j];
        product += g * direction[j];
        length += g * g;
      }
      EXPECT_GT(length, 0) << p->name;
      auto at = [&](double step) {
        for (size_t j = 0; j < old.size(); ++j) Fixture::values(*p)[j] = old[j] + step * direction[j];
        ++p->weight.version;
        return f.loss(false);
      };
      double slope = (at(kStep) - at(-kStep)) / (2 * kStep);
      at(0);
      EXPECT_NEAR(slope, product, 1e-6 * std::max(1.0, std::sqrt(length))) << "variant " << i << ", " << p->name;
    }
  }
}

TEST(DenseGradient, RecomputeGivesTheSame) {
  Fixture plain(dense_variant(1)), again(dense_variant(1));
  again.model->set_recompute(true);
  EXPECT_EQ(plain.loss(true), again.loss(true));
  for (const Param* p : plain.model->params().by_name()) {
    const Param* q = again.model->params().find(p->name);
    for (int64_t i = 0; i < p->size(); ++i) {
      ASSERT_EQ(p->weight.grad.data<double>()[i], q->weight.grad.data<double>()[i]) << p->name;
    }
  }
}

}  // namespace
}  // namespace unha
