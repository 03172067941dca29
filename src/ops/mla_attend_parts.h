// SPDX-License-Identifier: Apache-2.0
// What the forward (mla_attend.cc) and the backward (mla_attend_back.cc) of MLA share: sizes, operands, tiles.
#pragma once

#include <algorithm>

#include "ops/attend_parts.h"
#include "ops/mla_attend.h"

namespace unha::ops::mla {

using attend::BlockView;
using attend::for_items;
using attend::KeyRows;
using attend::round_up;
using attend::view_block;
using kernels::Accumulate;
using kernels::kKeyBlock;
using kernels::kPanel;

// Kernels and sizes of one call.
template <class R>
struct Core : attend::ClassKernels<R> {
  using attend::ClassKernels<R>::gemm;
  MlaShape shape;
  int64_t width;                 // latent + rope: a key
  int64_t query_ld, mixed_ld;    // rows of queries [width], of mixed values [latent]
  int64_t nope_ld, value_ld;     // rows of q_nope, of a head's output gradient
  int64_t uk_panels, uv_panels;  // bytes of a head's packed weights in the forward
  int64_t tile_tokens;           // even, so that a tile starts on a whole pair of rows

  Core(const Ctx& ctx, const MlaShape& s)
      : attend::ClassKernels<R>(ctx),
        shape(s),
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

  // Packs rows [row0, ..) of a weight.
  void pack_weight(const Tensor& w, int64_t row0, int64_t k_stride, int64_t n_stride, int64_t K, int64_t N,
                   void* dst) const {
    pack_weight(w.bytes() + row0 * w.stride() * dtype_bytes(w.dtype()), w.dtype(), k_stride, n_stride, K, N, dst);
  }
  void pack_weight(const std::byte* src, DType dtype, int64_t k_stride, int64_t n_stride, int64_t K, int64_t N,
                   void* dst) const {
    if (dtype == DType::kBF16) {
      gemm.pack_b_bf16(reinterpret_cast<const uint16_t*>(src), k_stride, n_stride, K, N, dst);
    } else {
      gemm.pack_b(reinterpret_cast<const R*>(src), k_stride, n_stride, K, N, dst);
    }
  }
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

// Inputs and output of a call, and what it kept. Trivially copyable: the tape's closure holds one.
template <class R>
struct Call {
  Tensor q, c_kv, k_rope, out;
  const Weight* wkv_b = nullptr;              // of the backward; null: there is none, the weights came in two
  const Weight *uk = nullptr, *uv = nullptr;  // whose form 0 holds the panels of W_UK, whose form 1 those of W_UV
  MlaShape shape;
  const Segment* segments = nullptr;  // in the arena
  const KeyRows* keys = nullptr;      // per segment, in the arena
  int64_t n_segments = 0;
  Saved<R> saved = {};
  Tensor chosen = {};  // [N, K] int32; empty: all keys
};

template <class R>
void backward(Ctx& ctx, const Call<R>& call);
extern template void backward<float>(Ctx& ctx, const Call<float>& call);
extern template void backward<double>(Ctx& ctx, const Call<double>& call);

}  // namespace unha::ops::mla
