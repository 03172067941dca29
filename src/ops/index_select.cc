// SPDX-License-Identifier: Apache-2.0
// A tile is a run of tokens of one segment; its rows of scores are (token, head), tokens first, for one block of keys
// after the other. Which tokens share a tile changes nothing: each score is a chain of its own.
#include "ops/index_select.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "ops/attend_parts.h"

namespace unha::ops {

namespace {

using attend::KeyRows;
using kernels::Accumulate;
using kernels::kKeyBlock;

template <class R>
struct Core : attend::ClassKernels<R> {
  const kernels::IndexKernels<R>& index;
  IndexShape shape;
  R scale;
  int64_t query_ld;     // of a head's row as an operand
  int64_t tile_tokens;  // about 256 rows

  Core(const Ctx& ctx, const IndexShape& s)
      : attend::ClassKernels<R>(ctx),
        index(ctx.kernels<R>().index),
        shape(s),
        scale(static_cast<R>(1 / std::sqrt(static_cast<double>(s.heads * s.head_dim)))),
        query_ld(this->gemm.padded_k(s.head_dim)),
        tile_tokens(std::clamp<int64_t>(256 / s.heads, 1, 16)) {}
};

struct Tile {
  int64_t segment, first, tokens;  // first: token within the segment
};

// A worker's memory for one tile.
template <class R>
struct Scratch {
  std::byte* queries;  // operands [tokens, heads, query_ld]
  R* weights;          // [tokens, heads]
  R* scores;           // [tokens, heads, kKeyBlock]
  std::byte* keys;     // panels [head_dim][kKeyBlock]
  R* totals;           // [tokens, context]
  R* sorted;           // [context]

  Scratch(Arena& arena, const Core<R>& core, int64_t context) {
    int64_t rows = core.tile_tokens * core.shape.heads;
    queries = arena.allocate<std::byte>(rows * core.query_ld * core.bytes);
    weights = arena.allocate<R>(rows);
    scores = arena.allocate<R>(rows * kKeyBlock);
    keys = arena.allocate<std::byte>(core.gemm.b_bytes(core.shape.head_dim, kKeyBlock));
    totals = arena.allocate<R>(core.tile_tokens * context);
    sorted = arena.allocate<R>(context);
  }
};

struct Call {
  Tensor q, k, w, ids;
  const Segment* segments;
  const KeyRows* keys;
};

// The positions of the `count` largest of n > count totals, ascending; sorted: room for n.
template <class R>
void choose(R* totals, int64_t n, int64_t count, R* sorted, int32_t* ids) {
  constexpr R kLowest = -std::numeric_limits<R>::infinity();
  for (int64_t i = 0; i < n; ++i) {
    if (std::isnan(totals[i])) totals[i] = kLowest;
    sorted[i] = totals[i];
  }
  std::nth_element(sorted, sorted + count - 1, sorted + n, std::greater<R>());
  R last = sorted[count - 1];
  int64_t ties = count - std::count_if(sorted, sorted + count, [last](R x) { return x > last; });
  for (int64_t i = 0; i < n; ++i) {
    if (totals[i] > last || (totals[i] == last && ties > 0)) {
      if (totals[i] == last) --ties;
      *ids++ = static_cast<int32_t>(i);
    }
  }
}

template <class R>
void score_tile(const Core<R>& core, const Call& call, const Tile& tile, int64_t context, const Scratch<R>& s) {
  const Segment& segment = call.segments[tile.segment];
  const KeyRows& keys = call.keys[tile.segment];
  int64_t H = core.shape.heads, D = core.shape.head_dim, pos = segment.pos0 + tile.first;
  for (int64_t t = 0; t < tile.tokens; ++t) {
    int64_t row = segment.begin + tile.first + t;
    core.attend.round_rows(call.q.row<R>(row), D, H, D, s.queries + t * H * core.query_ld * core.bytes, core.query_ld,
                           core.query_ld);
    for (int64_t h = 0; h < H; ++h) s.weights[t * H + h] = call.w.row<R>(row)[h] * core.scale;
  }
  for (int64_t key0 = 0; key0 < pos + tile.tokens; key0 += kKeyBlock) {
    attend::BlockView view = attend::view_block(key0, pos, tile.tokens, H, keys.readable);
    core.pack_b(keys.rows + key0 * keys.stride * core.bytes, 1, keys.stride, D, view.packed, s.keys);
    core.gemm.multiply(s.queries + view.row * core.query_ld * core.bytes, core.query_ld, s.keys, view.rows.rows,
                       view.columns, D, s.scores + view.row * kKeyBlock, kKeyBlock, Accumulate::kSet);
    for (int64_t t = view.row / H; t < tile.tokens; ++t) {
      core.index.mix_heads(s.scores + t * H * kKeyBlock, kKeyBlock, s.weights + t * H, H, view.keys,
                           s.totals + t * context + key0);
    }
  }
  for (int64_t t = 0; t < tile.tokens; ++t) {
    choose(s.totals + t * context, pos + t + 1, core.shape.topk, s.sorted,
           call.ids.row<int32_t>(segment.begin + tile.first + t));
  }
}

// Rounds k into the segment's rows, and fills in the tokens that see no more than topk keys.
template <class R>
void write_keys(Ctx& ctx, const Core<R>& core, const Call& call, int64_t segment_index) {
  const Segment& segment = call.segments[segment_index];
  const KeyRows& keys = call.keys[segment_index];
  int64_t D = core.shape.head_dim, topk = core.shape.topk;
  ctx.threads.parallel_for(segment.len, 64, [&](int64_t begin, int64_t end) {
    core.attend.round_rows(call.k.row<R>(segment.begin + begin), call.k.stride(), end - begin, D,
                           keys.rows + (segment.pos0 + begin) * keys.stride * core.bytes, keys.stride, D);
    for (int64_t i = begin; i < end && segment.pos0 + i < topk; ++i) {
      auto* ids = call.ids.row<int32_t>(segment.begin + i);
      for (int64_t rank = 0; rank < topk; ++rank)
        ids[rank] = rank <= segment.pos0 + i ? static_cast<int32_t>(rank) : -1;
    }
  });
}

template <class R>
void run(Ctx& ctx, const Call& call, const IndexShape& shape, std::span<const Segment> segments) {
  Core<R> core(ctx, shape);
  int64_t context = 0;
  int64_t n = 0;
  auto mark = ctx.arena.mark();
  auto* tiles = ctx.arena.allocate<Tile>(call.q.rows());
  for (size_t i = 0; i < segments.size(); ++i) {
    const Segment& segment = segments[i];
    auto number = static_cast<int64_t>(i);
    write_keys(ctx, core, call, number);
    for (int64_t first = std::max<int64_t>(0, shape.topk - segment.pos0); first < segment.len;
         first += core.tile_tokens) {
      tiles[n++] = {number, first, std::min(core.tile_tokens, segment.len - first)};
      context = std::max(context, attend::round_up(segment.pos0 + segment.len, kKeyBlock));
    }
  }
  int64_t workers = std::min<int64_t>(ctx.threads.count(), n);
  auto* scratch = ctx.arena.allocate<Scratch<R>>(workers);
  for (int64_t i = 0; i < workers; ++i) new (scratch + i) Scratch<R>(ctx.arena, core, context);
  attend::for_items(ctx.threads, workers, n, [&](int64_t worker, int64_t item) {
    score_tile(core, call, tiles[item], context, scratch[worker]);
  });
  ctx.arena.rewind(mark);
}

}  // namespace

Tensor index_select(Ctx& ctx, Tensor q, Tensor k, Tensor w, const IndexShape& shape, std::span<const Segment> segments,
                    std::span<const CacheRows> caches) {
  UNHA_CHECK(ctx.tape == nullptr, "index_select: no backward");
  UNHA_CHECK(shape.topk > 0 && q.cols() == shape.heads * shape.head_dim && k.cols() == shape.head_dim &&
                 w.cols() == shape.heads && q.rows() == k.rows() && q.rows() == w.rows(),
             "index_select: q [{}, {}], k [{}, {}], w [{}, {}]", q.rows(), q.cols(), k.rows(), k.cols(), w.rows(),
             w.cols());
  UNHA_CHECK(caches.empty() || caches.size() == segments.size(), "index_select: {} caches for {} segments",
             caches.size(), segments.size());
  Tensor ids = ctx.scratch(DType::kI32, q.rows(), shape.topk);
  auto mark = ctx.arena.mark();
  const KeyRows* keys = attend::place_keys(ctx, "index_select", shape.head_dim, shape.head_dim, segments, caches);
  ctx.with_real([&](auto real) { run<decltype(real)>(ctx, {q, k, w, ids, segments.data(), keys}, shape, segments); });
  ctx.arena.rewind(mark);
  return ids;
}

}  // namespace unha::ops
