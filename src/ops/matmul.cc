// SPDX-License-Identifier: Apache-2.0
#include "ops/matmul.h"

#include <algorithm>

namespace unha::ops {

using kernels::Accumulate;
using kernels::GemmKernels;
using kernels::kPanel;

namespace {

constexpr int64_t kRowTile = 192;   // rows of A per task
constexpr int64_t kPanelTile = 4;   // panels of B per task

template <class R>
void pack_rows(const GemmKernels<R>& gemm, const Operand& a, int64_t begin, int64_t end, int64_t K, std::byte* dst,
               int64_t lda) {
  std::byte* out = dst + begin * lda * gemm.element_bytes;
  if (a.dtype == DType::kBF16) {
    gemm.pack_a_bf16(static_cast<const uint16_t*>(a.data) + begin * a.row_stride, a.row_stride, a.col_stride, end - begin,
                     K, out, lda);
  } else {
    gemm.pack_a(static_cast<const R*>(a.data) + begin * a.row_stride, a.row_stride, a.col_stride, end - begin, K, out, lda);
  }
}

template <class R>
void pack_panels(const GemmKernels<R>& gemm, const Operand& b, int64_t begin, int64_t end, int64_t K, int64_t N,
                 std::byte* dst) {
  std::byte* out = dst + begin * gemm.panel_bytes(K);
  int64_t n0 = begin * kPanel;
  int64_t n = std::min(N, end * kPanel) - n0;
  if (b.dtype == DType::kBF16) {
    gemm.pack_b_bf16(static_cast<const uint16_t*>(b.data) + n0 * b.col_stride, b.row_stride, b.col_stride, K, n, out);
  } else {
    gemm.pack_b(static_cast<const R*>(b.data) + n0 * b.col_stride, b.row_stride, b.col_stride, K, n, out);
  }
}

template <class R>
void pack_all_panels(Ctx& ctx, const Operand& b, int64_t K, int64_t N, std::byte* dst) {
  const auto& gemm = ctx.kernels<R>().gemm(ctx.numerics);
  int64_t panels = (N + kPanel - 1) / kPanel;
  ctx.threads.parallel_for(panels, 4, [&](int64_t begin, int64_t end) { pack_panels(gemm, b, begin, end, K, N, dst); });
}

template <class R>
void multiply_tiles(Ctx& ctx, const Operand& a, const std::byte* panels, int64_t M, int64_t N, int64_t K, Tensor c,
                    Accumulate mode) {
  const auto& gemm = ctx.kernels<R>().gemm(ctx.numerics);
  int64_t lda = gemm.padded_k(K);
  auto mark = ctx.arena.mark();
  auto* rows = ctx.arena.allocate<std::byte>(gemm.a_bytes(M, K));
  ctx.threads.parallel_for(M, kRowTile,
                           [&](int64_t begin, int64_t end) { pack_rows(gemm, a, begin, end, K, rows, lda); });
  int64_t row_tiles = (M + kRowTile - 1) / kRowTile;
  int64_t n_panels = (N + kPanel - 1) / kPanel;
  int64_t panel_tiles = (n_panels + kPanelTile - 1) / kPanelTile;
  ctx.threads.parallel_for(row_tiles * panel_tiles, 1, [&](int64_t begin, int64_t end) {
    for (int64_t tile = begin; tile < end; ++tile) {
      int64_t m0 = tile / panel_tiles * kRowTile;
      int64_t p0 = tile % panel_tiles * kPanelTile;
      int64_t m = std::min(kRowTile, M - m0);
      int64_t n0 = p0 * kPanel;
      int64_t n = std::min(kPanelTile * kPanel, N - n0);
      gemm.multiply(rows + m0 * lda * gemm.element_bytes, lda, panels + p0 * gemm.panel_bytes(K), m, n, K,
                    c.row<R>(m0) + n0, c.stride(), mode);
    }
  });
  ctx.arena.rewind(mark);
}

}  // namespace

void matmul(Ctx& ctx, const Operand& a, const Operand& b, int64_t M, int64_t N, int64_t K, Tensor c, Accumulate mode) {
  ctx.with_real([&](auto real) {
    using R = decltype(real);
    auto mark = ctx.arena.mark();
    auto* panels = ctx.arena.allocate<std::byte>(ctx.kernels<R>().gemm(ctx.numerics).b_bytes(K, N));
    pack_all_panels<R>(ctx, b, K, N, panels);
    multiply_tiles<R>(ctx, a, panels, M, N, K, c, mode);
    ctx.arena.rewind(mark);
  });
}

const std::byte* packed_panels(Ctx& ctx, const Weight& w) {
  PackedForm& form = w.forms[0];
  if (form.version != w.version) {
    ctx.with_real([&](auto real) {
      using R = decltype(real);
      const auto& gemm = ctx.kernels<R>().gemm(ctx.numerics);
      std::byte* dst = form.resize(static_cast<size_t>(gemm.b_bytes(w.cols(), w.rows())));
      pack_all_panels<R>(ctx, Operand::transposed(w.value), w.cols(), w.rows(), dst);
    });
    form.version = w.version;
  }
  return form.data;
}

void matmul_packed(Ctx& ctx, const Operand& a, const std::byte* panels, int64_t M, int64_t N, int64_t K, Tensor c,
                   Accumulate mode) {
  ctx.with_real([&](auto real) { multiply_tiles<decltype(real)>(ctx, a, panels, M, N, K, c, mode); });
}

}  // namespace unha::ops
