// SPDX-License-Identifier: Apache-2.0
// What attention does between its matrix products: online softmax over blocks of 64 keys, its gradient, rounding of
// rows to the class's operand type. Rows of a tile are (token, head) pairs, tokens first; all heads of a token see the
// same keys, each next token one key more. A row's result depends on that row alone.
#pragma once

#include <cstdint>

namespace unha::kernels {

inline constexpr int64_t kKeyBlock = 64;  // keys of a block, by position from 0

// Rows that see at least one key of the block.
struct BlockRows {
  int64_t rows = 0;
  int64_t heads = 1;    // row i sees the first min(kKeyBlock, visible + i / heads) keys
  int64_t visible = 0;  // >= 1
};

// One block of the online softmax: m' = max(m, scale s), p = exp(scale s - m'), sums and acc scaled by exp(m - m').
template <class R>
struct SoftmaxBlock {
  BlockRows block;
  R scale = 1;
  bool first = false;         // block 0: nothing to rescale
  const R* scores = nullptr;  // [rows, kKeyBlock], columns beyond the last visible key are not read
  R* row_max = nullptr;       // [rows]
  R* sums = nullptr;          // [rows, 16] virtual lanes
  R* acc = nullptr;           // [rows, width]
  int64_t width = 0;
  void* p = nullptr;  // out: [rows, kKeyBlock] operands, 0 beyond the visible keys
};

// ds = p (dp - delta) scale with p = exp(scale s - m) / sum.
template <class R>
struct SoftmaxGrad {
  BlockRows block;
  R scale = 1;
  const R* scores = nullptr;   // [rows, kKeyBlock]
  const R* d_p = nullptr;      // [rows, kKeyBlock]
  const R* row_max = nullptr;  // [rows]
  const R* inv_sum = nullptr;  // [rows]
  const R* delta = nullptr;    // [rows]
  void* ds = nullptr;          // out: [rows, kKeyBlock] operands
  void* p_panels = nullptr;    // out: p as B[K = rows][N = kKeyBlock] in the panels of kernels/gemm.h
  void* ds_panels = nullptr;   // out: ds likewise
};

// One numerics class. Operands: the class's real, or bf16 in bf16x2.
template <class R>
struct AttendClass {
  // dst[i][j] = round(src[i][j]) for j < cols, zero up to `padded`.
  void (*round_rows)(const R* src, int64_t src_stride, int64_t rows, int64_t cols, void* dst, int64_t dst_stride,
                     int64_t padded);
  void (*softmax_block)(const SoftmaxBlock<R>& args);
  // inv_sum[i] = 1 / (sums of row i folded), dst[i] = round(acc[i] * inv_sum[i]), zero up to dst_stride.
  void (*finish_rows)(const R* acc, const R* sums, int64_t rows, int64_t width, R* inv_sum, void* dst,
                      int64_t dst_stride);
  void (*softmax_grad)(const SoftmaxGrad<R>& args);
  // out[i] = sum of a[i][j] b[i][j] over j < width, 16 virtual lanes; a, b: operands.
  void (*dot_rows)(const void* a, const void* b, int64_t stride, int64_t rows, int64_t width, R* out);
};

template <class R>
struct AttendKernels {
  AttendClass<R> plain;  // f32, f64
  AttendClass<R> bf16;   // bf16x2
};

}  // namespace unha::kernels
