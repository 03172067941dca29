// SPDX-License-Identifier: Apache-2.0
// A tile is a run of tokens times the query heads of one KV head, which share its keys and values. The backward
// computes scores again; with g = d_o, per row (token, head):
//   p = exp(s - max) / sum;  dp[j] = g . v[j];  delta = g . o;  ds[j] = p[j] (dp[j] - delta) scale
//   d_query = sum_j ds[j] key[j];  d_key[j] = sum over rows of ds[j] query;  d_v[j] = sum over rows of p[j] g
// Chains: d_query over keys in order, d_key and d_v over the KV head's rows in order, kept as [head_dim, keys], because
// then no operand of a block needs transposing but the queries of a tile. Saved: q, the output and two numbers per row.
#include "ops/gqa_attend.h"

#include <cstring>

#include "ops/attend_parts.h"

namespace unha::ops {

namespace gqa {
namespace {

using attend::BlockView;
using attend::for_items;
using attend::KeyRows;
using attend::view_block;
using kernels::Accumulate;
using kernels::kKeyBlock;

// Kernels and sizes of one call.
template <class R>
struct Core : attend::ClassKernels<R> {
  using attend::ClassKernels<R>::gemm;
  const kernels::AttendClass<R>& plain;  // writes reals
  GqaShape shape;
  int64_t group;        // query heads of a KV head
  int64_t ld;           // a row of head_dim operands
  int64_t tile_tokens;  // even, so that a tile starts on a whole pair of rows

  Core(const Ctx& ctx, const GqaShape& s)
      : attend::ClassKernels<R>(ctx),
        plain(ctx.kernels<R>().attend.plain),
        shape(s),
        group(s.heads / s.kv_heads),
        ld(gemm.padded_k(s.head_dim)),
        tile_tokens(std::max<int64_t>(2, 128 / group / 2 * 2)) {}
};

// Inputs and output of a call, and what it kept. Trivially copyable: the tape's closure holds one.
template <class R>
struct Call {
  Tensor q, k, v, out;
  GqaShape shape;
  const Segment* segments = nullptr;  // in the arena
  const KeyRows* keys = nullptr;      // per segment, in the arena: rows [k ; v]
  int64_t n_segments = 0;
  R* row_max = nullptr;  // [KV][N * group]; null: nothing is kept
  R* inv_sum = nullptr;  // likewise

  int64_t saved_row(int64_t kv, int64_t token, int64_t group) const { return (kv * q.rows() + token) * group; }
};

struct Tile {
  int64_t segment, first, tokens;  // first: token within the segment
  int64_t kv;
};

// The group's columns of rows of a [N, H*head_dim] tensor as operands [tokens * group, ld].
template <class R>
void gather_rows(const Core<R>& core, const Tensor& from, int64_t token, int64_t tokens, int64_t kv, std::byte* to) {
  for (int64_t h = 0; h < core.group; ++h) {
    const R* head = from.row<R>(token) + (kv * core.group + h) * core.shape.head_dim;
    core.attend.round_rows(head, from.stride(), tokens, core.shape.head_dim, to + h * core.ld * core.bytes,
                           core.group * core.ld, core.ld);
  }
}

// A worker's memory for one tile.
template <class R>
struct Scratch {
  std::byte* queries;  // [rows, ld]
  R* acc;              // [rows, head_dim]
  R* row_max;          // [rows]
  R* inv_sum;          // [rows]
  R* sums;             // [rows, 16]
  attend::BlockScratch<R> block;

  Scratch(Arena& arena, const Core<R>& core, int64_t tokens) {
    int64_t rows = tokens * core.group, width = core.shape.head_dim;
    queries = arena.allocate<std::byte>(rows * core.ld * core.bytes);
    acc = arena.allocate<R>(rows * width);
    row_max = arena.allocate<R>(rows);
    inv_sum = arena.allocate<R>(rows);
    sums = arena.allocate<R>(rows * 16);
    block = {arena.allocate<R>(rows * kKeyBlock), arena.allocate<std::byte>(rows * kKeyBlock * core.bytes),
             arena.allocate<std::byte>(core.gemm.b_bytes(width, kKeyBlock)),
             arena.allocate<std::byte>(core.gemm.b_bytes(kKeyBlock, width))};
  }
};

// Rounds [k ; v] into the segments' rows.
template <class R>
void write_keys(Ctx& ctx, const Core<R>& core, const Call<R>& call) {
  int64_t width = core.shape.kv_width();
  for (int64_t i = 0; i < call.n_segments; ++i) {
    const Segment& segment = call.segments[i];
    const KeyRows& keys = call.keys[i];
    ctx.threads.parallel_for(segment.len, 256, [&](int64_t begin, int64_t end) {
      std::byte* dst = keys.rows + (segment.pos0 + begin) * keys.stride * core.bytes;
      int64_t row = segment.begin + begin, n = end - begin;
      core.attend.round_rows(call.k.template row<R>(row), call.k.stride(), n, width, dst, keys.stride, width);
      core.attend.round_rows(call.v.template row<R>(row), call.v.stride(), n, width, dst + width * core.bytes,
                             keys.stride, width);
    });
  }
}

template <class R>
void forward_tile(const Core<R>& core, const Call<R>& call, const Tile& tile, const Scratch<R>& s) {
  const Segment& segment = call.segments[tile.segment];
  const KeyRows& keys = call.keys[tile.segment];
  int64_t width = core.shape.head_dim, token = segment.begin + tile.first, rows = tile.tokens * core.group;
  int64_t saved = call.saved_row(tile.kv, token, core.group);
  R* row_max = call.row_max != nullptr ? call.row_max + saved : s.row_max;
  R* inv_sum = call.inv_sum != nullptr ? call.inv_sum + saved : s.inv_sum;

  gather_rows(core, call.q, token, tile.tokens, tile.kv, s.queries);
  int64_t pos = segment.pos0 + tile.first;
  for (int64_t key0 = 0; key0 < pos + tile.tokens; key0 += kKeyBlock) {
    BlockView view = view_block(key0, pos, tile.tokens, core.group, keys.readable);
    const std::byte* block = keys.rows + (key0 * keys.stride + tile.kv * width) * core.bytes;
    attend::BlockStep<R> step{block,
                              block + core.shape.kv_width() * core.bytes,
                              keys.stride,
                              width,
                              width,
                              s.queries + view.row * core.ld * core.bytes,
                              core.ld,
                              static_cast<R>(core.shape.scale),
                              key0 == 0,
                              row_max + view.row,
                              s.sums + view.row * 16,
                              s.acc + view.row * width};
    attend::attend_block<R>(core, view, step, s.block);
  }
  core.plain.finish_rows(s.acc, s.sums, rows, width, inv_sum, s.acc, width);
  int64_t columns = core.group * width;
  for (int64_t t = 0; t < tile.tokens; ++t) {
    std::memcpy(call.out.template row<R>(token + t) + tile.kv * columns, s.acc + t * columns,
                static_cast<size_t>(columns) * sizeof(R));
  }
}

template <class R>
void forward(Ctx& ctx, const Core<R>& core, const Call<R>& call) {
  auto mark = ctx.arena.mark();
  int64_t tiles = 0, tokens = 1;
  for (int64_t i = 0; i < call.n_segments; ++i) {
    tiles += (call.segments[i].len + core.tile_tokens - 1) / core.tile_tokens;
    tokens = std::max(tokens, std::min(call.segments[i].len, core.tile_tokens));
  }
  int64_t KV = core.shape.kv_heads, n = 0;
  auto* plan = ctx.arena.allocate<Tile>(tiles * KV);
  for (int64_t i = 0; i < call.n_segments; ++i) {
    int64_t len = call.segments[i].len;
    for (int64_t tile = (len - 1) / core.tile_tokens; len > 0 && tile >= 0; --tile) {  // the long ones first
      int64_t first = tile * core.tile_tokens;
      for (int64_t kv = 0; kv < KV; ++kv) plan[n++] = {i, first, std::min(core.tile_tokens, len - first), kv};
    }
  }
  int64_t workers = std::min<int64_t>(ctx.threads.count(), n);
  auto* scratch = ctx.arena.allocate<Scratch<R>>(workers);
  for (int64_t i = 0; i < workers; ++i) new (scratch + i) Scratch<R>(ctx.arena, core, tokens);
  write_keys(ctx, core, call);
  for_items(ctx.threads, workers, n,
            [&](int64_t worker, int64_t item) { forward_tile(core, call, plan[item], scratch[worker]); });
  ctx.arena.rewind(mark);
}

// Sums of one block of keys.
template <class R>
struct KeySums {
  R* key;    // [head_dim, kKeyBlock]
  R* value;  // [head_dim, kKeyBlock]
};

// A worker's memory for one tile and one block of the backward.
template <class R>
struct BackScratch {
  std::byte *queries, *g, *out;     // [rows, ld]
  std::byte *queries_t, *g_t;       // [head_dim, rows]
  R* delta;                         // [rows]
  R* reals;                         // [rows, head_dim]: d_query
  R *scores, *d_p;                  // [rows, kKeyBlock]
  std::byte* ds;                    // [rows, kKeyBlock]
  std::byte *p_panels, *ds_panels;  // B[rows][kKeyBlock]
  std::byte *keys, *values;         // B[head_dim][kKeyBlock]
  std::byte* key_rows;              // B[kKeyBlock][head_dim]
  KeySums<R>* sums;                 // per block of the longest segment

  BackScratch(Arena& arena, const Core<R>& core, int64_t blocks) {
    int64_t rows = core.tile_tokens * core.group, width = core.shape.head_dim, rows_ld = core.gemm.padded_k(rows);
    auto operands = [&](int64_t count) { return arena.allocate<std::byte>(count * core.bytes); };
    queries = operands(rows * core.ld);
    g = operands(rows * core.ld);
    out = operands(rows * core.ld);
    queries_t = operands(width * rows_ld);
    g_t = operands(width * rows_ld);
    delta = arena.allocate<R>(rows);
    reals = arena.allocate<R>(rows * width);
    scores = arena.allocate<R>(rows * kKeyBlock);
    d_p = arena.allocate<R>(rows * kKeyBlock);
    ds = operands(rows * kKeyBlock);
    p_panels = arena.allocate<std::byte>(core.gemm.b_bytes(rows, kKeyBlock));
    ds_panels = arena.allocate<std::byte>(core.gemm.b_bytes(rows, kKeyBlock));
    keys = arena.allocate<std::byte>(core.gemm.b_bytes(width, kKeyBlock));
    values = arena.allocate<std::byte>(core.gemm.b_bytes(width, kKeyBlock));
    key_rows = arena.allocate<std::byte>(core.gemm.b_bytes(kKeyBlock, width));
    sums = arena.allocate<KeySums<R>>(blocks);
    for (int64_t b = 0; b < blocks; ++b) {
      sums[b] = {arena.allocate<R>(width * kKeyBlock), arena.allocate<R>(width * kKeyBlock)};
    }
  }
};

// Gradients on their way, for the whole call.
template <class R>
struct Work {
  Core<R> core;
  Call<R> call;
  Tensor d_out, d_q, d_k, d_v;  // empty: not wanted
};

// The tile's operands, its transposes and delta.
template <class R>
void load_tile(const Work<R>& work, const Tile& tile, const BackScratch<R>& s) {
  const Core<R>& core = work.core;
  int64_t token = work.call.segments[tile.segment].begin + tile.first, width = core.shape.head_dim;
  int64_t rows = tile.tokens * core.group, rows_ld = core.gemm.padded_k(rows);
  gather_rows(core, work.call.q, token, tile.tokens, tile.kv, s.queries);
  gather_rows(core, work.d_out, token, tile.tokens, tile.kv, s.g);
  gather_rows(core, work.call.out, token, tile.tokens, tile.kv, s.out);
  core.attend.dot_rows(s.g, s.out, core.ld, rows, width, s.delta);
  core.pack_a(s.queries, 1, core.ld, width, rows, s.queries_t, rows_ld);
  core.pack_a(s.g, 1, core.ld, width, rows, s.g_t, rows_ld);
}

// One block of keys: the rows' gradients and the block's sums.
template <class R>
void block_back(const Work<R>& work, const Tile& tile, int64_t key0, const BackScratch<R>& s) {
  const Core<R>& core = work.core;
  const KeyRows& keys = work.call.keys[tile.segment];
  int64_t width = core.shape.head_dim, token = work.call.segments[tile.segment].begin + tile.first;
  BlockView view = view_block(key0, tile.first, tile.tokens, core.group, keys.readable);
  int64_t m = view.rows.rows, saved = work.call.saved_row(tile.kv, token, core.group) + view.row;
  const std::byte* block = keys.rows + (key0 * keys.stride + tile.kv * width) * core.bytes;
  core.pack_b(block, 1, keys.stride, width, view.packed, s.keys);
  core.pack_b(block + core.shape.kv_width() * core.bytes, 1, keys.stride, width, view.packed, s.values);
  int64_t skipped = view.row * core.ld * core.bytes;
  core.gemm.multiply(s.queries + skipped, core.ld, s.keys, m, view.columns, width, s.scores, kKeyBlock,
                     Accumulate::kSet);
  core.gemm.multiply(s.g + skipped, core.ld, s.values, m, view.columns, width, s.d_p, kKeyBlock, Accumulate::kSet);
  kernels::SoftmaxGrad<R> grad{view.rows, static_cast<R>(core.shape.scale), s.scores, s.d_p};
  grad.row_max = work.call.row_max + saved;
  grad.inv_sum = work.call.inv_sum + saved;
  grad.delta = s.delta + view.row;
  grad.ds = s.ds;
  grad.p_panels = s.p_panels;
  grad.ds_panels = s.ds_panels;
  core.attend.softmax_grad(grad);

  core.pack_b(block, keys.stride, 1, view.keys, width, s.key_rows);
  core.gemm.multiply(s.ds, kKeyBlock, s.key_rows, m, width, view.keys, s.reals + view.row * width, width,
                     key0 == 0 ? Accumulate::kSet : Accumulate::kContinue);
  const KeySums<R>& sums = s.sums[key0 / kKeyBlock];
  int64_t rows_ld = core.gemm.padded_k(tile.tokens * core.group);
  core.gemm.multiply(s.g_t + view.row * core.bytes, rows_ld, s.p_panels, width, view.columns, m, sums.value, kKeyBlock,
                     Accumulate::kContinue);
  core.gemm.multiply(s.queries_t + view.row * core.bytes, rows_ld, s.ds_panels, width, view.columns, m, sums.key,
                     kKeyBlock, Accumulate::kContinue);
}

// d[begin + j][column + i] += sums[i][j]
template <class R>
void add_keys(const Tensor& d, int64_t begin, int64_t column, int64_t keys, int64_t width, const R* sums) {
  if (d.empty()) return;
  for (int64_t j = 0; j < keys; ++j) {
    R* row = d.row<R>(begin + j) + column;
    for (int64_t i = 0; i < width; ++i) row[i] = row[i] + sums[i * kKeyBlock + j];
  }
}

// One segment and one KV head: all tiles in order. No other item writes the same columns of the same rows.
template <class R>
void head_back(const Work<R>& work, int64_t index, int64_t kv, const BackScratch<R>& s) {
  const Core<R>& core = work.core;
  const Segment& segment = work.call.segments[index];
  int64_t width = core.shape.head_dim, columns = core.group * width;
  auto sum_bytes = static_cast<size_t>(width * kKeyBlock) * sizeof(R);
  for (int64_t key0 = 0; key0 < segment.len; key0 += kKeyBlock) {
    std::memset(s.sums[key0 / kKeyBlock].key, 0, sum_bytes);
    std::memset(s.sums[key0 / kKeyBlock].value, 0, sum_bytes);
  }
  for (int64_t first = 0; first < segment.len; first += core.tile_tokens) {
    Tile tile{index, first, std::min(core.tile_tokens, segment.len - first), kv};
    load_tile(work, tile, s);
    for (int64_t key0 = 0; key0 < first + tile.tokens; key0 += kKeyBlock) block_back(work, tile, key0, s);
    for (int64_t t = 0; t < tile.tokens && !work.d_q.empty(); ++t) {
      R* d_q = work.d_q.template row<R>(segment.begin + first + t) + kv * columns;
      for (int64_t i = 0; i < columns; ++i) d_q[i] = d_q[i] + s.reals[t * columns + i];
    }
  }
  for (int64_t key0 = 0; key0 < segment.len; key0 += kKeyBlock) {
    int64_t keys = std::min(kKeyBlock, segment.len - key0);
    add_keys(work.d_k, segment.begin + key0, kv * width, keys, width, s.sums[key0 / kKeyBlock].key);
    add_keys(work.d_v, segment.begin + key0, kv * width, keys, width, s.sums[key0 / kKeyBlock].value);
  }
}

template <class R>
void backward(Ctx& ctx, const Call<R>& call) {
  auto mark = ctx.arena.mark();
  auto wanted = [&](const Tensor& x) { return x.slot() != nullptr ? ctx.tape->grad(x) : Tensor(); };
  Work<R> work{Core<R>(ctx, call.shape), call,           ctx.tape->grad(call.out),
               wanted(call.q),           wanted(call.k), wanted(call.v)};
  int64_t longest = 0, KV = call.shape.kv_heads, items = call.n_segments * KV;
  for (int64_t i = 0; i < call.n_segments; ++i) longest = std::max(longest, call.segments[i].len);
  int64_t workers = std::min<int64_t>(ctx.threads.count(), items);
  auto* scratch = ctx.arena.allocate<BackScratch<R>>(workers);
  for (int64_t i = 0; i < workers; ++i) {
    new (scratch + i) BackScratch<R>(ctx.arena, work.core, (longest + kKeyBlock - 1) / kKeyBlock);
  }
  for_items(ctx.threads, workers, items,
            [&](int64_t worker, int64_t item) { head_back(work, item / KV, item % KV, scratch[worker]); });
  ctx.arena.rewind(mark);
}

template <class R>
Tensor run(Ctx& ctx, const Tensor& q, const Tensor& k, const Tensor& v, const GqaShape& shape,
           std::span<const Segment> segments, std::span<const CacheRows> caches) {
  Core<R> core(ctx, shape);
  Call<R> call{q, k, v, ctx.make(q.rows(), q.cols()), shape};
  auto mark = ctx.arena.mark();
  auto* kept = ctx.arena.allocate<Segment>(static_cast<int64_t>(segments.size()));
  std::copy(segments.begin(), segments.end(), kept);
  call.segments = kept;
  call.n_segments = static_cast<int64_t>(segments.size());
  call.keys = attend::place_keys(ctx, "gqa_attend", 2 * shape.kv_width(), 2 * shape.kv_width(), segments, caches);
  if (ctx.tape != nullptr) {
    call.row_max = ctx.arena.allocate<R>(q.rows() * shape.heads);
    call.inv_sum = ctx.arena.allocate<R>(q.rows() * shape.heads);
  }
  forward(ctx, core, call);
  if (ctx.tape != nullptr) {
    ctx.tape->record("gqa_attend", [call, c = ctx]() mutable {
      if (c.tape->has_grad(call.out)) backward(c, call);
    });
  } else {
    ctx.arena.rewind(mark);
  }
  return call.out;
}

}  // namespace
}  // namespace gqa

Tensor gqa_attend(Ctx& ctx, Tensor q, Tensor k, Tensor v, const GqaShape& shape, std::span<const Segment> segments,
                  std::span<const CacheRows> caches) {
  UNHA_CHECK(shape.kv_heads > 0 && shape.heads % shape.kv_heads == 0, "gqa_attend: {} heads on {} KV heads",
             shape.heads, shape.kv_heads);
  UNHA_CHECK(q.cols() == shape.heads * shape.head_dim && k.cols() == shape.kv_width() && v.cols() == shape.kv_width() &&
                 q.rows() == k.rows() && q.rows() == v.rows(),
             "gqa_attend: q [{}, {}], k [{}, {}], v [{}, {}]", q.rows(), q.cols(), k.rows(), k.cols(), v.rows(),
             v.cols());
  UNHA_CHECK(caches.empty() || (caches.size() == segments.size() && ctx.tape == nullptr),
             "gqa_attend: {} caches for {} segments{}", caches.size(), segments.size(),
             ctx.tape != nullptr ? ", while a tape records" : "");
  return ctx.with_real([&](auto real) { return gqa::run<decltype(real)>(ctx, q, k, v, shape, segments, caches); });
}

}  // namespace unha::ops
