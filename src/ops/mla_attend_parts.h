// SPDX-License-Identifier: Apache-2.0
// What the forward (mla_attend.cc) and the backward (mla_attend_back.cc) of MLA share: sizes, operands, tiles.
// A tile is a run of tokens of one segment times a run of heads; its rows are (token, head), tokens first.
#pragma once

#include <algorithm>
#include <atomic>

#include "ops/mla_attend.h"

namespace unha::ops::mla {

using kernels::Accumulate;
using kernels::AttendClass;
using kernels::BlockRows;
using kernels::GemmKernels;
using kernels::kKeyBlock;
using kernels::kPanel;

inline int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

// Kernels and sizes of one call. Operands are rows or panels of `bytes` per element.
template <class R>
struct Core {
  const GemmKernels<R>& gemm;
  const AttendClass<R>& attend;
  MlaShape shape;
  bool bf16;                     // operands are bf16
  int64_t bytes;                 // of an operand
  int64_t width;                 // latent + rope: a key
  int64_t query_ld, mixed_ld;    // rows of queries [width], of mixed values [latent]
  int64_t nope_ld, value_ld;     // rows of q_nope, of a head's output gradient
  int64_t uk_panels, uv_panels;  // bytes of a head's packed weights in the forward
  int64_t tile_tokens;           // even, so that a tile starts on a whole pair of rows

  Core(const Ctx& ctx, const MlaShape& s)
      : gemm(ctx.kernels<R>().gemm(ctx.numerics)),
        attend(ctx.numerics == Numerics::kBF16x2 ? ctx.kernels<R>().attend.bf16 : ctx.kernels<R>().attend.plain),
        shape(s),
        bf16(ctx.operand() == DType::kBF16),
        bytes(gemm.element_bytes),
        width(s.latent + s.rope),
        query_ld(gemm.padded_k(width)),
        mixed_ld(gemm.padded_k(s.latent)),
        nope_ld(gemm.padded_k(s.nope)),
        value_ld(gemm.padded_k(s.v)),
        uk_panels(gemm.b_bytes(s.nope, s.latent)),
        uv_panels(gemm.b_bytes(s.latent, s.v)),
        tile_tokens(std::max<int64_t>(2, 128 / s.heads / 2 * 2)) {}

  int64_t q_columns() const { return shape.nope + shape.rope; }  // of one head
  int64_t b_rows() const { return shape.nope + shape.v; }        // of one head, in wkv_b

  // Packs operands that are operands already.
  void pack_a(const void* src, int64_t row_stride, int64_t k_stride, int64_t rows, int64_t K, void* dst,
              int64_t lda) const {
    if (bf16) {
      gemm.pack_a_bf16(static_cast<const uint16_t*>(src), row_stride, k_stride, rows, K, dst, lda);
    } else {
      gemm.pack_a(static_cast<const R*>(src), row_stride, k_stride, rows, K, dst, lda);
    }
  }
  void pack_b(const void* src, int64_t k_stride, int64_t n_stride, int64_t K, int64_t N, void* dst) const {
    if (bf16) {
      gemm.pack_b_bf16(static_cast<const uint16_t*>(src), k_stride, n_stride, K, N, dst);
    } else {
      gemm.pack_b(static_cast<const R*>(src), k_stride, n_stride, K, N, dst);
    }
  }
  // Packs rows [row0, ..) of a weight.
  void pack_weight(const Tensor& w, int64_t row0, int64_t k_stride, int64_t n_stride, int64_t K, int64_t N,
                   void* dst) const {
    const std::byte* src = w.bytes() + row0 * w.stride() * dtype_bytes(w.dtype());
    if (w.dtype() == DType::kBF16) {
      gemm.pack_b_bf16(reinterpret_cast<const uint16_t*>(src), k_stride, n_stride, K, N, dst);
    } else {
      gemm.pack_b(reinterpret_cast<const R*>(src), k_stride, n_stride, K, N, dst);
    }
  }
};

// The keys of one segment as operands, [readable][stride]; rows beyond the segment may hold anything.
struct KeyRows {
  std::byte* rows = nullptr;
  int64_t stride = 0;
  int64_t readable = 0;
};

// What the forward keeps for the backward, by row of the call [N*H].
template <class R>
struct Saved {
  std::byte* queries = nullptr;  // operands [N*H, query_ld]
  std::byte* mixed = nullptr;    // operands [N*H, mixed_ld]: ctx
  R* row_max = nullptr;
  R* inv_sum = nullptr;
};

struct Tile {
  int64_t segment, first, tokens;  // first: token within the segment
  int64_t head, heads;
};

// Block `key0 / kKeyBlock` as a tile's rows from `row` on see it.
struct BlockView {
  int64_t row;      // first row of the tile that sees it
  int64_t keys;     // that the last row sees: 1 .. kKeyBlock
  int64_t columns;  // keys in whole panels
  int64_t packed;   // of these, rows that may be read
  BlockRows rows;
};

inline BlockView view_block(int64_t key0, int64_t pos, int64_t tokens, int64_t heads, int64_t readable) {
  int64_t skipped = std::max<int64_t>(0, key0 - pos);  // tokens before the block
  BlockView view;
  view.row = skipped * heads;
  view.keys = std::min(kKeyBlock, pos + tokens - key0);
  view.columns = round_up(view.keys, kPanel);
  view.packed = std::min(view.columns, readable - key0);
  view.rows = {(tokens - skipped) * heads, heads, pos + skipped - key0 + 1};
  return view;
}

// Runs f(worker, item) for all items, in ascending order of starting; each worker has its own scratch.
template <class F>
void for_items(Threads& threads, int64_t workers, int64_t items, const F& f) {
  std::atomic<int64_t> next{0};
  threads.parallel_for(workers, 1, [&](int64_t begin, int64_t end) {
    for (int64_t worker = begin; worker < end; ++worker) {
      for (;;) {
        int64_t item = next.fetch_add(1, std::memory_order_relaxed);
        if (item >= items) break;
        f(worker, item);
      }
    }
  });
}

// Inputs and output of a call, and what it kept. Trivially copyable: the tape's closure holds one.
template <class R>
struct Call {
  Tensor q, c_kv, k_rope, out;
  const Weight* wkv_b = nullptr;
  MlaShape shape;
  const Segment* segments = nullptr;  // in the arena
  const KeyRows* keys = nullptr;      // per segment, in the arena
  int64_t n_segments = 0;
  Saved<R> saved = {};
};

template <class R>
void backward(Ctx& ctx, const Call<R>& call);
extern template void backward<float>(Ctx& ctx, const Call<float>& call);
extern template void backward<double>(Ctx& ctx, const Call<double>& call);

}  // namespace unha::ops::mla
