// SPDX-License-Identifier: Apache-2.0
// Contractions: C[M, N] = A[M, K] . B[K, N], one chain from zero in order of k per output (numerics.md section 2).
// SIMD runs across outputs, never across k, so gemv and gemm give the same bytes and panels, blocks and threads are
// free. These are the single-threaded pieces; ops/matmul.h cuts a product into tiles for the threads.
//
// Operand forms, per numerics class:
//   f32, f64   A: rows of R, lda >= K              B: panels of kPanel columns, [K][kPanel] R each
//   bf16x2     A: rows of bf16, lda even >= K,     B: panels of kPanel columns, [K/2][kPanel][2] bf16 each
//              K padded to even with zero
// N is padded to whole panels with zero columns.
#pragma once

#include <cstdint>

namespace unha::kernels {

inline constexpr int64_t kPanel = 32;  // columns of a panel

enum class Accumulate {
  kSet,       // C = chain from zero
  kContinue,  // C = the chain that C holds, continued (blocks of one contraction)
  kAdd,       // C = C + chain from zero (a second contribution)
};

template <class R>
struct GemmKernels {
  int64_t k_unit;         // K is padded to a multiple of it: 1 or 2
  int64_t element_bytes;  // of A and B as packed

  // dst[i][k] = round(src[i * row_stride + k * k_stride]) for i < rows, k < K, zero up to lda.
  void (*pack_a)(const R* src, int64_t row_stride, int64_t k_stride, int64_t rows, int64_t K, void* dst, int64_t lda);
  void (*pack_a_bf16)(const uint16_t* src, int64_t row_stride, int64_t k_stride, int64_t rows, int64_t K, void* dst,
                      int64_t lda);
  // Packs panels [0, ceil(N / kPanel)): B[k][n] = round(src[k * k_stride + n * n_stride]).
  void (*pack_b)(const R* src, int64_t k_stride, int64_t n_stride, int64_t K, int64_t N, void* dst);
  void (*pack_b_bf16)(const uint16_t* src, int64_t k_stride, int64_t n_stride, int64_t K, int64_t N, void* dst);
  // C[m * ldc + n], m < M, n < N. Does its own blocking over K.
  void (*multiply)(const void* a, int64_t lda, const void* b, int64_t M, int64_t N, int64_t K, R* c, int64_t ldc,
                   Accumulate mode);

  int64_t padded_k(int64_t K) const { return (K + k_unit - 1) / k_unit * k_unit; }
  int64_t a_bytes(int64_t rows, int64_t K) const { return rows * padded_k(K) * element_bytes; }
  int64_t panel_bytes(int64_t K) const { return padded_k(K) * kPanel * element_bytes; }
  int64_t b_bytes(int64_t K, int64_t N) const { return (N + kPanel - 1) / kPanel * panel_bytes(K); }
};

}  // namespace unha::kernels
