// SPDX-License-Identifier: Apache-2.0
// What the forms of attention (mla_attend, gqa_attend) share: the kernels of the class, blocks of 64 keys as the rows
// of a tile see them, the forward step over one block, and the sharing out of items to workers. A tile is a run of
// tokens of one segment times a run of heads; its rows are (token, head), tokens first.
#pragma once

#include <algorithm>
#include <atomic>

#include "ops/ctx.h"
#include "ops/segment.h"

namespace unha::ops::attend {

using kernels::Accumulate;
using kernels::AttendClass;
using kernels::BlockRows;
using kernels::GemmKernels;
using kernels::kKeyBlock;
using kernels::kPanel;

inline int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

// The kernels of a call. Operands are rows or panels of `bytes` per element.
template <class R>
struct ClassKernels {
  const GemmKernels<R>& gemm;
  const AttendClass<R>& attend;
  bool bf16;      // operands are bf16
  int64_t bytes;  // of an operand

  explicit ClassKernels(const Ctx& ctx)
      : gemm(ctx.kernels<R>().gemm(ctx.numerics)),
        attend(ctx.numerics == Numerics::kBF16x2 ? ctx.kernels<R>().attend.bf16 : ctx.kernels<R>().attend.plain),
        bf16(ctx.operand() == DType::kBF16),
        bytes(gemm.element_bytes) {}

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
};

// The keys of one segment as operands, [readable][stride]; rows beyond the segment may hold anything.
struct KeyRows {
  std::byte* rows = nullptr;
  int64_t stride = 0;
  int64_t readable = 0;
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

// One block of keys and the rows that see it.
template <class R>
struct BlockStep {
  const std::byte* keys;    // operands: rows of the block, `stride` elements apart, of `key_width`
  const std::byte* values;  // rows likewise, of `value_width`
  int64_t stride, key_width, value_width;
  const std::byte* queries;  // operands [rows, query_ld], from the first row that sees the block, as all below
  int64_t query_ld;
  R scale;
  bool first;  // block 0
  R* row_max;  // [rows]
  R* sums;     // [rows, 16]
  R* acc;      // [rows, value_width]
};

template <class R>
struct BlockScratch {
  R* scores;          // [rows, kKeyBlock]
  std::byte* p;       // [rows, kKeyBlock]
  std::byte* keys;    // panels [key_width][kKeyBlock]
  std::byte* values;  // panels [kKeyBlock][value_width]
};

// Takes the block into the running softmax of the rows.
template <class R>
void attend_block(const ClassKernels<R>& core, const BlockView& view, const BlockStep<R>& step,
                  const BlockScratch<R>& s) {
  int64_t m = view.rows.rows;
  core.pack_b(step.keys, 1, step.stride, step.key_width, view.packed, s.keys);
  core.gemm.multiply(step.queries, step.query_ld, s.keys, m, view.columns, step.key_width, s.scores, kKeyBlock,
                     Accumulate::kSet);
  core.attend.softmax_block(
      {view.rows, step.scale, step.first, s.scores, step.row_max, step.sums, step.acc, step.value_width, s.p});
  // Values that no row sees have weight 0 and are left out, so they may be anything.
  core.pack_b(step.values, step.stride, 1, view.keys, step.value_width, s.values);
  core.gemm.multiply(s.p, kKeyBlock, s.values, m, step.value_width, view.keys, step.acc, step.value_width,
                     step.first ? Accumulate::kSet : Accumulate::kContinue);
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

// Where each segment's keys go: its cache, of rows at least `width` wide, or memory of the step with rows of `stride`.
inline const KeyRows* place_keys(Ctx& ctx, const char* op, int64_t width, int64_t stride,
                                 std::span<const Segment> segments, std::span<const CacheRows> caches) {
  auto* keys = ctx.arena.allocate<KeyRows>(static_cast<int64_t>(segments.size()));
  for (size_t i = 0; i < segments.size(); ++i) {
    const Segment& segment = segments[i];
    if (caches.empty()) {
      UNHA_CHECK(segment.pos0 == 0, "{}: a segment at position {} without a cache", op, segment.pos0);
      int64_t readable = round_up(segment.len, kPanel);
      keys[i] = {ctx.arena.allocate<std::byte>(readable * stride * dtype_bytes(ctx.operand())), stride, readable};
      continue;
    }
    const CacheRows& cache = caches[i];
    UNHA_CHECK(cache.dtype == ctx.operand() && cache.stride >= width,
               "{}: cache of {} rows of {}, expected {} rows of at least {}", op, dtype_name(cache.dtype), cache.stride,
               dtype_name(ctx.operand()), width);
    UNHA_CHECK(segment.pos0 + segment.len <= cache.capacity, "{}: position {} of a cache of {}", op,
               segment.pos0 + segment.len - 1, cache.capacity);
    keys[i] = {cache.rows, cache.stride, cache.capacity};
  }
  return keys;
}

}  // namespace unha::ops::attend
