// SPDX-License-Identifier: Apache-2.0
// A product of matrices, cut into tiles for the threads; the arithmetic is kernels/gemm.h's.
#pragma once

#include "ops/ctx.h"
#include "ops/weight.h"

namespace unha::ops {

// How an operand lies in memory: element (i, k) of A, or (k, n) of B, at data + i * row_stride + k * col_stride ...
struct Operand {
  const void* data = nullptr;
  DType dtype = DType::kF32;  // the class's real, or bf16
  int64_t row_stride = 0;     // between i of A, between k of B
  int64_t col_stride = 0;     // between k of A, between n of B

  static Operand rows_of(const Tensor& t) { return {t.bytes(), t.dtype(), t.stride(), 1}; }
  static Operand transposed(const Tensor& t) { return {t.bytes(), t.dtype(), 1, t.stride()}; }
};

// C[M, N] = A[M, K] . B[K, N]; operands are rounded to the class's operand type. c: the class's real.
void matmul(Ctx& ctx, const Operand& a, const Operand& b, int64_t M, int64_t N, int64_t K, Tensor c,
            kernels::Accumulate mode);

// The panels of W [N, K] as B[K, N] = W^T, packed once per version of the weight (form 0).
const std::byte* packed_panels(Ctx& ctx, const Weight& w);
// C = A . W^T with those panels.
void matmul_packed(Ctx& ctx, const Operand& a, const std::byte* panels, int64_t M, int64_t N, int64_t K, Tensor c,
                   kernels::Accumulate mode);
// C[M, N] = A . W^T of a weight as it is stored (ops/panels.h): with kept panels, or panel by panel.
void matmul_weight(Ctx& ctx, const Operand& a, const Weight& w, int64_t M, Tensor c);

}  // namespace unha::ops
