// SPDX-License-Identifier: Apache-2.0
// The small ops along rows: rms_norm, swiglu, add, concat_cols, embedding.
#include <gtest/gtest.h>

#include <array>

#include "ops/add.h"
#include "ops/embedding.h"
#include "ops/grad_check.h"
#include "ops/rms_norm.h"
#include "ops/swiglu.h"

namespace unha {
namespace {

TEST(RmsNorm, GradientsAgreeWithCentralDifferences) {
  for (int64_t D : {1, 5, 16, 37, 130}) {
    GradCheck check;
    check.input(7, D);
    auto w = check.weight(1, D, 0.3, 1);
    check.run(
        [&](Ctx& ctx, const std::vector<Tensor>& in) { return ops::rms_norm(ctx, in[0], check.weight_at(w), 1e-6); });
  }
}

TEST(RmsNorm, HasEpsInsideTheRoot) {
  Arena arena;
  Threads threads(1);
  Ctx ctx = make_ctx(arena, threads, Numerics::kF32, Isa::kScalar);
  std::array<float, 2> x = {3e-3f, 4e-3f}, w = {1, 2};
  Weight weight;
  weight.value = Tensor(w.data(), DType::kF32, 1, 2);
  Tensor y = ops::rms_norm(ctx, Tensor(x.data(), DType::kF32, 1, 2), weight, 1e-4);
  EXPECT_FLOAT_EQ(y.data<float>()[0], 3e-3f / std::sqrt(12.5e-6f + 1e-4f));
  EXPECT_FLOAT_EQ(y.data<float>()[1], 8e-3f / std::sqrt(12.5e-6f + 1e-4f));
}

TEST(Swiglu, GradientsAgreeWithCentralDifferencesAlsoForViews) {
  for (int64_t F : {1, 16, 35}) {
    GradCheck check;
    check.input(5, 2 * F);
    check.run([&](Ctx& ctx, const std::vector<Tensor>& in) {
      return ops::swiglu(ctx, in[0].slice_cols(0, F), in[0].slice_cols(F, F));
    });
  }
}

TEST(Add, GradientsAgreeWithCentralDifferencesAlsoOfATensorAddedToItself) {
  GradCheck check;
  check.input(5, 19);
  check.input(5, 19);
  check.run([&](Ctx& ctx, const std::vector<Tensor>& in) { return ops::add(ctx, ops::add(ctx, in[0], in[1]), in[0]); });
}

TEST(ConcatCols, GradientsAgreeWithCentralDifferences) {
  GradCheck check;
  check.input(6, 3);
  check.input(6, 18);
  check.run([&](Ctx& ctx, const std::vector<Tensor>& in) { return ops::concat_cols(ctx, in[0], in[1]); });
}

TEST(Embedding, GradientsAgreeWithCentralDifferencesForRepeatedIds) {
  GradCheck check;
  auto w = check.weight(5, 21);
  std::array<int32_t, 7> ids = {3, 0, 3, 4, 3, 0, 1};
  check.run([&](Ctx& ctx, const std::vector<Tensor>&) { return ops::embedding(ctx, check.weight_at(w), ids); });
}

TEST(Embedding, MergesGradientsInOrderOfPosition) {
  Arena arena;
  Threads threads(2);
  Tape tape;
  Ctx ctx = make_ctx(arena, threads, Numerics::kF32, best_isa());
  ctx.tape = &tape;
  std::array<float, 6> value = {}, grad = {};
  Weight w;
  w.value = Tensor(value.data(), DType::kF32, 3, 2);
  w.grad = Tensor(grad.data(), DType::kF32, 3, 2);
  std::array<int32_t, 4> ids = {2, 1, 2, 2};
  Tensor y = ops::embedding(ctx, w, ids);
  const float seeds[4] = {1e8f, 5, 1, -1e8f};  // (1e8 + 1) - 1e8 is 0 in float, 1e8 - 1e8 + 1 is 1
  for (int64_t i = 0; i < 4; ++i) tape.grad(y).row<float>(i)[0] = seeds[i];
  tape.backward();
  EXPECT_EQ(grad[4], 0);
  EXPECT_EQ(grad[2], 5);
  EXPECT_EQ(grad[0], 0);
}

TEST(Embedding, WidensBf16Exactly) {
  Arena arena;
  Threads threads(1);
  Ctx ctx = make_ctx(arena, threads, Numerics::kBF16x2, best_isa());
  std::vector<uint16_t> table(3 * 19);
  for (size_t i = 0; i < table.size(); ++i) table[i] = f32_to_bf16(0.37f * static_cast<float>(i) - 4);
  Weight w;
  w.value = Tensor(table.data(), DType::kBF16, 3, 19);
  std::array<int32_t, 2> ids = {2, 1};
  Tensor y = ops::embedding(ctx, w, ids);
  for (int64_t j = 0; j < 19; ++j) {
    EXPECT_EQ(y.row<float>(0)[j], bf16_to_f32(table[static_cast<size_t>(2 * 19 + j)]));
    EXPECT_EQ(y.row<float>(1)[j], bf16_to_f32(table[static_cast<size_t>(19 + j)]));
  }
}

}  // namespace
}  // namespace unha
