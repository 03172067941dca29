// SPDX-License-Identifier: Apache-2.0
// Whatever the shape, the cut and the threads: the bytes of one call of the scalar kernel.
#include "ops/matmul.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "base/rng.h"
#include "tensor/dtype.h"

namespace unha {
namespace {

using kernels::Accumulate;
using ops::Operand;

template <class R>
std::vector<R> random_values(int64_t n, uint64_t seed) {
  Rng rng(seed, Purpose::kTest, 0);
  std::vector<R> v(static_cast<size_t>(n));
  for (R& x : v) x = static_cast<R>(rng.uniform() * 2 - 1);
  return v;
}

struct Shape {
  int64_t M, N, K;
};

template <class R>
struct Case {
  Shape shape;
  bool a_across, b_across;  // whether k runs down the columns of the stored matrix
  Accumulate mode;
  std::vector<R> a, b, c;

  Tensor matrix(std::vector<R>& v, int64_t rows, int64_t cols) {
    return {v.data(), sizeof(R) == 8 ? DType::kF64 : DType::kF32, rows, cols};
  }
  Operand left() {
    auto [M, N, K] = shape;
    return a_across ? Operand::transposed(matrix(a, K, M)) : Operand::rows_of(matrix(a, M, K));
  }
  Operand right() {
    auto [M, N, K] = shape;
    return b_across ? Operand::rows_of(matrix(b, K, N)) : Operand::transposed(matrix(b, N, K));
  }
};

template <class R>
Case<R> make_case(Shape shape, int turn) {
  auto [M, N, K] = shape;
  auto seed = static_cast<uint64_t>(turn);
  return {shape,
          turn % 2 == 1,
          turn / 2 % 2 == 1,
          static_cast<Accumulate>(turn % 3),
          random_values<R>(M * K, seed),
          random_values<R>(N * K, seed + 100),
          random_values<R>(M * N, seed + 200)};
}

// One call of the kernel `gemm`.
template <class R>
std::vector<R> plain(const kernels::GemmKernels<R>& gemm, Case<R>& t) {
  auto [M, N, K] = t.shape;
  Operand a = t.left(), b = t.right();
  std::vector<std::byte> rows(static_cast<size_t>(gemm.a_bytes(M, K))), panels(static_cast<size_t>(gemm.b_bytes(K, N)));
  gemm.pack_a(static_cast<const R*>(a.data), a.row_stride, a.col_stride, M, K, rows.data(), gemm.padded_k(K));
  gemm.pack_b(static_cast<const R*>(b.data), b.row_stride, b.col_stride, K, N, panels.data());
  std::vector<R> c = t.c;
  gemm.multiply(rows.data(), gemm.padded_k(K), panels.data(), M, N, K, c.data(), N, t.mode);
  return c;
}

constexpr Shape kShapes[] = {{1, 256, 256}, {1, 1, 1},      {3, 300, 64},   {13, 100, 1030}, {64, 96, 33},
                             {200, 70, 40}, {33, 65, 5000}, {128, 64, 600}, {300, 33, 257},  {7, 5, 2049}};

template <class R>
void expect_plain_bytes(Numerics numerics, Isa isa, const kernels::GemmKernels<R>& gemm) {
  int turn = 0;
  for (Shape shape : kShapes) {
    for (int order = 0; order < 4; ++order, ++turn) {
      auto t = make_case<R>(shape, turn);
      auto want = plain(gemm, t);
      for (int threads : {1, 2, 3}) {
        Threads pool(threads);
        Arena arena;
        Ctx ctx = make_ctx(arena, pool, numerics, isa);
        std::vector<R> c = t.c;
        ops::matmul(ctx, t.left(), t.right(), shape.M, shape.N, shape.K, t.matrix(c, shape.M, shape.N), t.mode);
        ASSERT_EQ(std::memcmp(want.data(), c.data(), c.size() * sizeof(R)), 0)
            << numerics_name(numerics) << " " << shape.M << " x " << shape.N << " x " << shape.K << " turn " << turn
            << " threads " << threads;
        if (t.b_across || t.a_across) continue;
        Weight w;
        w.value = t.matrix(t.b, shape.N, shape.K);
        c = t.c;
        ops::matmul_packed(ctx, t.left(), ops::packed_panels(ctx, w), shape.M, shape.N, shape.K,
                           t.matrix(c, shape.M, shape.N), t.mode);
        ASSERT_EQ(std::memcmp(want.data(), c.data(), c.size() * sizeof(R)), 0) << "packed, turn " << turn;
      }
    }
  }
}

TEST(Matmul, EveryShapeOnAnyThreadsGivesTheBytesOfTheScalarKernel) {
  flush_denormals();
  const auto& scalar = kernels::kernels_for(Isa::kScalar);
  for (Numerics numerics : {Numerics::kF32, Numerics::kBF16x2}) {
    expect_plain_bytes<float>(numerics, best_isa(), scalar.gemm(numerics));
  }
  expect_plain_bytes<double>(Numerics::kF64, Isa::kScalar, kernels::kernels_f64().gemm(Numerics::kF64));
}

TEST(Matmul, OperandsInBf16AreTheRoundedOnes) {
  Threads pool(2);
  for (Numerics numerics : {Numerics::kF32, Numerics::kBF16x2}) {
    for (Shape shape : {Shape{5, 70, 64}, Shape{150, 40, 63}}) {
      auto t = make_case<float>(shape, 0);
      std::vector<uint16_t> a16, b16;
      for (float& x : t.a) a16.push_back(f32_to_bf16(x)), x = bf16_to_f32(a16.back());
      for (float& x : t.b) b16.push_back(f32_to_bf16(x)), x = bf16_to_f32(b16.back());
      auto want = plain(kernels::kernels_for(Isa::kScalar).gemm(numerics), t);
      Arena arena;
      Ctx ctx = make_ctx(arena, pool, numerics, best_isa());
      std::vector<float> c = t.c;
      Operand a{a16.data(), DType::kBF16, shape.K, 1}, b{b16.data(), DType::kBF16, 1, shape.K};
      ops::matmul(ctx, a, b, shape.M, shape.N, shape.K, t.matrix(c, shape.M, shape.N), t.mode);
      EXPECT_EQ(want, c) << numerics_name(numerics);
    }
  }
}

TEST(Matmul, TakesNothingFromTheHeapOnceTheArenaIsWarm) {
  Threads pool(2);
  Arena arena;
  Ctx ctx = make_ctx(arena, pool, Numerics::kBF16x2, best_isa());
  auto t = make_case<float>({300, 128, 4096}, 3);
  auto run = [&] {
    std::vector<float> c = t.c;
    ops::matmul(ctx, t.left(), t.right(), 300, 128, 4096, t.matrix(c, 300, 128), t.mode);
  };
  run();
  size_t reserved = arena.reserved_bytes();
  run();
  EXPECT_EQ(arena.reserved_bytes(), reserved);
  EXPECT_EQ(arena.mark().used, 0u);
}

}  // namespace
}  // namespace unha
