// SPDX-License-Identifier: Apache-2.0
// Rows of activations as operands of products, rounded once: packed for the bf16 classes, the rows themselves in f32
// and f64, where packing changes nothing. Used where several products gather rows from one tensor.
#pragma once

#include <cstring>

#include "ops/ctx.h"
#include "ops/grain.h"

namespace unha::ops {

template <class R>
struct OperandRows {
  const kernels::GemmKernels<R>* gemm = nullptr;
  const std::byte* data = nullptr;
  int64_t step = 0;  // bytes from row to row
  int64_t cols = 0;

  static bool is_packed(const kernels::GemmKernels<R>& gemm) {
    return gemm.k_unit != 1 || gemm.element_bytes != static_cast<int64_t>(sizeof(R));
  }
  int64_t row_bytes() const { return gemm->a_bytes(1, cols); }
  int64_t lda() const { return step / gemm->element_bytes; }
  const std::byte* row(int64_t i) const { return data + i * step; }

  // Into the arena, if anything has to be packed.
  static OperandRows pack(Ctx& ctx, const Tensor& x) {
    const auto& gemm = ctx.kernels<R>().gemm(ctx.numerics);
    if (!is_packed(gemm)) return {&gemm, x.bytes(), x.stride() * static_cast<int64_t>(sizeof(R)), x.cols()};
    OperandRows rows{&gemm, nullptr, gemm.a_bytes(1, x.cols()), x.cols()};
    auto* dst = ctx.arena.allocate<std::byte>(x.rows() * rows.step);
    rows.data = dst;
    ctx.threads.parallel_for(x.rows(), row_grain(x.cols()), [&](int64_t begin, int64_t end) {
      gemm.pack_a(x.row<R>(begin), x.stride(), 1, end - begin, x.cols(), dst + begin * rows.step, rows.lda());
    });
    return rows;
  }

  // Columns [first, first + width) of rows by ascending number, `width` whole or to the end, as operand A of leading
  // dimension *step_out or for packing as B: where they lie if they are neighbours, else gathered at dst.
  const std::byte* rows(const int32_t* index, int64_t count, int64_t first, int64_t width, std::byte* dst,
                        int64_t* step_out) const {
    int64_t offset = first * gemm->element_bytes;
    if (index[count - 1] - index[0] == count - 1) {
      *step_out = lda();
      return row(index[0]) + offset;
    }
    *step_out = gemm->padded_k(width);
    auto bytes = static_cast<size_t>(gemm->a_bytes(1, width));
    std::byte* to = dst;
    for (int64_t i = 0; i < count; ++i, to += bytes) std::memcpy(to, row(index[i]) + offset, bytes);
    return dst;
  }
  const std::byte* rows(const int32_t* index, int64_t count, std::byte* dst, int64_t* step_out) const {
    return rows(index, count, 0, cols, dst, step_out);
  }
  // B[k = row][n = column] of `count` dense rows whose first element is at src, each row_elements apart.
  void pack_b(const std::byte* src, int64_t row_elements, int64_t count, int64_t n, std::byte* dst) const {
    if (is_packed(*gemm)) {
      gemm->pack_b_bf16(reinterpret_cast<const uint16_t*>(src), row_elements, 1, count, n, dst);
    } else {
      gemm->pack_b(reinterpret_cast<const R*>(src), row_elements, 1, count, n, dst);
    }
  }
  // A[i = column][k = row], transposed, of `count` dense rows.
  void pack_a_transposed(const std::byte* src, int64_t row_elements, int64_t columns, int64_t count, std::byte* dst,
                         int64_t lda_out) const {
    if (is_packed(*gemm)) {
      gemm->pack_a_bf16(reinterpret_cast<const uint16_t*>(src), 1, row_elements, columns, count, dst, lda_out);
    } else {
      gemm->pack_a(reinterpret_cast<const R*>(src), 1, row_elements, columns, count, dst, lda_out);
    }
  }
};

}  // namespace unha::ops
