// SPDX-License-Identifier: Apache-2.0
#include "ops/mla_attend.h"

#include <cstring>

#include "ops/mla_attend_parts.h"
#include "ops/panels.h"
#include "ops/thread_scratch.h"

namespace unha::ops {

namespace mla {
namespace {

// A worker's memory for one tile.
template <class R>
struct Scratch {
  std::byte* nope;      // [tokens, nope_ld]
  R* reals;             // [rows, width]: absorbed queries, then the value mix [rows, latent]
  std::byte* queries;   // [rows, query_ld]
  std::byte* mixed;     // [rows, mixed_ld]
  R* scores;            // [rows, kKeyBlock]
  std::byte* p;         // [rows, kKeyBlock]
  std::byte* keys;      // panels [width][kKeyBlock]
  std::byte* values;    // panels [kKeyBlock][latent]
  R* row_max;           // [rows]
  R* inv_sum;           // [rows]
  R* sums;              // [rows, 16]
  std::byte* gathered;  // [kKeyBlock, query_ld]: chosen keys

  Scratch(Arena& arena, const Core<R>& core, int64_t tokens, int64_t heads) {
    int64_t rows = tokens * heads;
    nope = arena.allocate<std::byte>(tokens * core.nope_ld * core.bytes);
    reals = arena.allocate<R>(rows * core.width);
    queries = arena.allocate<std::byte>(rows * core.query_ld * core.bytes);
    mixed = arena.allocate<std::byte>(rows * core.mixed_ld * core.bytes);
    scores = arena.allocate<R>(rows * kKeyBlock);
    p = arena.allocate<std::byte>(rows * kKeyBlock * core.bytes);
    keys = arena.allocate<std::byte>(core.gemm.b_bytes(core.width, kKeyBlock));
    values = arena.allocate<std::byte>(core.gemm.b_bytes(kKeyBlock, core.shape.latent));
    row_max = arena.allocate<R>(rows);
    inv_sum = arena.allocate<R>(rows);
    sums = arena.allocate<R>(rows * 16);
    gathered = arena.allocate<std::byte>(kKeyBlock * core.query_ld * core.bytes);
  }
};

// A head's W_UK or W_UV within a weight: rows * cols numbers one after the other, the first one number `first`. k of
// its panels runs down the rows or along them.
struct HeadBlock {
  const Weight* weight;
  int64_t first, rows, cols;
  bool k_down;

  int64_t size() const { return rows * cols; }
};

HeadBlock uk_block(const MlaWeights& w, const MlaShape& s, int64_t h) {
  if (w.kv_b == nullptr) return {w.k_b, h * s.latent * s.nope, s.latent, s.nope, false};
  return {w.kv_b, h * (s.nope + s.v) * s.latent, s.nope, s.latent, true};
}
HeadBlock uv_block(const MlaWeights& w, const MlaShape& s, int64_t h) {
  if (w.kv_b == nullptr) return {w.v_b, h * s.v * s.latent, s.v, s.latent, false};
  return {w.kv_b, (h * (s.nope + s.v) + s.nope) * s.latent, s.v, s.latent, false};
}

// `size` numbers of a stored matrix from number `first` on.
void widen_numbers(const StoredMatrix& m, int64_t first, int64_t size, float* out) {
  while (size > 0) {
    int64_t row = first / m.cols, col = first % m.cols, n = std::min(size, m.cols - col);
    m.widen(row, col, n, out);
    first += n;
    size -= n;
    out += n;
  }
}

// scratch: of size() floats, where the weight is stored.
template <class R>
void pack_block(const Core<R>& core, const HeadBlock& block, [[maybe_unused]] float* scratch, std::byte* dst) {
  const Weight& w = *block.weight;
  DType dtype = w.value.dtype();
  const std::byte* src = w.value.bytes() + block.first * dtype_bytes(dtype);
  if (!w.stored.empty()) {
    if constexpr (sizeof(R) == sizeof(float)) widen_numbers(w.stored, block.first, block.size(), scratch);
    dtype = DType::kF32;
    src = reinterpret_cast<const std::byte*>(scratch);
  }
  if (block.k_down) {
    core.pack_weight(src, dtype, block.cols, 1, block.rows, block.cols, dst);
  } else {
    core.pack_weight(src, dtype, 1, block.cols, block.cols, block.rows, dst);
  }
}

// Panels of W_UK (B[nope][latent]) in form 0 and of W_UV (B[latent][v]) in form 1, head by head, once per version.
template <class R>
void pack_weights(Ctx& ctx, const Core<R>& core, const MlaWeights& w, const Weight& k, const Weight& v) {
  if (k.forms[0].version == k.version && v.forms[1].version == v.version) return;
  const MlaShape& s = core.shape;
  std::byte* uk = k.forms[0].resize(static_cast<size_t>(s.heads * core.uk_panels));
  std::byte* uv = v.forms[1].resize(static_cast<size_t>(s.heads * core.uv_panels));
  bool stored = !k.stored.empty() || !v.stored.empty();
  UNHA_CHECK(!stored || sizeof(R) == sizeof(float), "mla_attend: a stored weight in class f64");
  auto mark = ctx.arena.mark();
  int64_t most = stored ? std::max(s.nope, s.v) * s.latent : 0;
  ThreadScratch scratch(ctx, most * static_cast<int64_t>(sizeof(float)));
  ctx.threads.parallel_for(s.heads, 1, [&](int64_t begin, int64_t end) {
    ThreadScratch::Lease lease(scratch);
    auto* widened = lease.take_array<float>(most);
    for (int64_t h = begin; h < end; ++h) {
      pack_block(core, uk_block(w, s, h), widened, uk + h * core.uk_panels);
      pack_block(core, uv_block(w, s, h), widened, uv + h * core.uv_panels);
    }
  });
  ctx.arena.rewind(mark);
  k.forms[0].version = k.version;
  v.forms[1].version = v.version;
}

// Rounds [c_kv ; k_rope] into the segments' key rows.
template <class R>
void write_keys(Ctx& ctx, const Core<R>& core, const Call<R>& call) {
  for (int64_t i = 0; i < call.n_segments; ++i) {
    const Segment& segment = call.segments[i];
    const KeyRows& keys = call.keys[i];
    ctx.threads.parallel_for(segment.len, 256, [&](int64_t begin, int64_t end) {
      std::byte* dst = keys.rows + (segment.pos0 + begin) * keys.stride * core.bytes;
      int64_t row = segment.begin + begin, n = end - begin, latent = core.shape.latent;
      core.attend.round_rows(call.c_kv.template row<R>(row), call.c_kv.stride(), n, latent, dst, keys.stride, latent);
      core.attend.round_rows(call.k_rope.template row<R>(row), call.k_rope.stride(), n, core.shape.rope,
                             dst + latent * core.bytes, keys.stride, core.shape.rope);
    });
  }
}

// queries[row] = round([W_UK[h]^T round(q_nope) ; q_rope])
template <class R>
void absorb(const Core<R>& core, const Call<R>& call, const Tile& tile, const Scratch<R>& s, std::byte* queries) {
  const MlaShape& shape = core.shape;
  const Tensor& q = call.q;
  const R* first = q.row<R>(call.segments[tile.segment].begin + tile.first);
  for (int64_t h = 0; h < tile.heads; ++h) {
    const R* head = first + (tile.head + h) * core.q_columns();
    R* reals = s.reals + h * core.width;
    int64_t ld = tile.heads * core.width;
    core.attend.round_rows(head, q.stride(), tile.tokens, shape.nope, s.nope, core.nope_ld, core.nope_ld);
    core.gemm.multiply(s.nope, core.nope_ld, call.uk->forms[0].data + (tile.head + h) * core.uk_panels, tile.tokens,
                       shape.latent, shape.nope, reals, ld, Accumulate::kSet);
    for (int64_t t = 0; t < tile.tokens; ++t) {
      std::memcpy(reals + t * ld + shape.latent, head + t * q.stride() + shape.nope,
                  static_cast<size_t>(shape.rope) * sizeof(R));
    }
  }
  core.attend.round_rows(s.reals, core.width, tile.tokens * tile.heads, core.width, queries, core.query_ld,
                         core.query_ld);
}

// One block of keys into the running softmax of the tile's rows. The values are the keys' first columns.
template <class R>
void attend_block(const Core<R>& core, const std::byte* rows, int64_t stride, bool first, const BlockView& view,
                  const std::byte* queries, R* row_max, const Scratch<R>& s) {
  int64_t latent = core.shape.latent;
  attend::BlockStep<R> step{rows,
                            rows,
                            stride,
                            core.width,
                            latent,
                            queries + view.row * core.query_ld * core.bytes,
                            core.query_ld,
                            static_cast<R>(core.shape.scale),
                            first,
                            row_max + view.row,
                            s.sums + view.row * 16,
                            s.reals + view.row * latent};
  attend::attend_block<R>(core, view, step, {s.scores, s.p, s.keys, s.values});
}

// All of the keys that the tile's tokens see.
template <class R>
void attend_all(const Core<R>& core, const KeyRows& keys, const Tile& tile, int64_t pos, const std::byte* queries,
                R* row_max, const Scratch<R>& s) {
  for (int64_t key0 = 0; key0 < pos + tile.tokens; key0 += kKeyBlock) {
    BlockView view = view_block(key0, pos, tile.tokens, tile.heads, keys.readable);
    attend_block(core, keys.rows + key0 * keys.stride * core.bytes, keys.stride, key0 == 0, view, queries, row_max, s);
  }
}

// The keys that the tile's only token chose, gathered block by block.
template <class R>
void attend_chosen(const Core<R>& core, const KeyRows& keys, const Tile& tile, std::span<const int32_t> chosen,
                   const std::byte* queries, R* row_max, const Scratch<R>& s) {
  auto count = static_cast<int64_t>(chosen.size());
  auto bytes = static_cast<size_t>(core.width * core.bytes);
  for (int64_t rank0 = 0; rank0 < count; rank0 += kKeyBlock) {
    int64_t n = std::min(kKeyBlock, count - rank0);
    for (int64_t i = 0; i < n; ++i) {
      std::memcpy(s.gathered + i * core.query_ld * core.bytes,
                  keys.rows + chosen[static_cast<size_t>(rank0 + i)] * keys.stride * core.bytes, bytes);
    }
    BlockView view = view_block(rank0, count - 1, 1, tile.heads, rank0 + n);
    attend_block(core, s.gathered, core.query_ld, rank0 == 0, view, queries, row_max, s);
  }
}

template <class R>
void forward_tile(const Core<R>& core, const Call<R>& call, const Tile& tile, const Scratch<R>& s) {
  const Segment& segment = call.segments[tile.segment];
  const KeyRows& keys = call.keys[tile.segment];
  int64_t row0 = (segment.begin + tile.first) * core.shape.heads;  // of what is saved, if it is
  const Saved<R>& saved = call.saved;
  bool save = saved.queries != nullptr;
  std::byte* queries = save ? saved.queries + row0 * core.query_ld * core.bytes : s.queries;
  std::byte* mixed = save ? saved.mixed + row0 * core.mixed_ld * core.bytes : s.mixed;
  R* row_max = save ? saved.row_max + row0 : s.row_max;
  R* inv_sum = save ? saved.inv_sum + row0 : s.inv_sum;

  absorb(core, call, tile, s, queries);
  int64_t pos = segment.pos0 + tile.first;
  if (call.chosen.empty() || pos < call.chosen.cols()) {
    attend_all(core, keys, tile, pos, queries, row_max, s);
  } else {
    std::span chosen(call.chosen.template row<int32_t>(segment.begin + tile.first),
                     static_cast<size_t>(call.chosen.cols()));
    attend_chosen(core, keys, tile, chosen, queries, row_max, s);
  }
  core.attend.finish_rows(s.reals, s.sums, tile.tokens * tile.heads, core.shape.latent, inv_sum, mixed, core.mixed_ld);
  R* out = call.out.template row<R>(segment.begin + tile.first);
  for (int64_t h = 0; h < tile.heads; ++h) {
    int64_t head = tile.head + h;
    core.gemm.multiply(mixed + h * core.mixed_ld * core.bytes, tile.heads * core.mixed_ld,
                       call.uv->forms[1].data + head * core.uv_panels, tile.tokens, core.shape.v, core.shape.latent,
                       out + head * core.shape.v, call.out.stride(), Accumulate::kSet);
  }
}

// Tiles of a call, the long ones of a segment first. Few tiles over long contexts (decode) are cut by heads too.
struct Plan {
  Tile* tiles;
  int64_t n = 0;
  int64_t tokens = 1, heads = 1;  // the most that a tile has
};

// Tokens of a segment that attend to all keys; each of those behind them chose its own and is a tile of its own.
template <class R>
int64_t dense_tokens(const Call<R>& call, const Segment& segment) {
  return call.chosen.empty() ? segment.len : std::clamp<int64_t>(call.chosen.cols() - segment.pos0, 0, segment.len);
}

template <class R>
Plan plan_tiles(Ctx& ctx, const Core<R>& core, const Call<R>& call) {
  int64_t count = 0, keys = 0, H = core.shape.heads;
  for (int64_t i = 0; i < call.n_segments; ++i) {
    const Segment& segment = call.segments[i];
    int64_t dense = dense_tokens(call, segment), context = segment.pos0 + segment.len;
    count += (dense + core.tile_tokens - 1) / core.tile_tokens + segment.len - dense;
    keys = std::max(keys, call.chosen.empty() ? context : std::min(context, call.chosen.cols()));
  }
  constexpr int64_t kWorthSplitting = 1 << 20;  // multiply-adds: below, a second thread costs more than it saves
  int64_t groups = 1;
  if (call.saved.queries == nullptr && count > 0 && count < ctx.threads.count() &&
      keys * H * (core.width + core.shape.latent) > kWorthSplitting) {
    groups = std::min(H, (ctx.threads.count() + count - 1) / count);
  }
  Plan plan{ctx.arena.allocate<Tile>(count * groups)};
  plan.heads = (H + groups - 1) / groups;
  auto add = [&](int64_t segment, int64_t first, int64_t tokens) {
    plan.tokens = std::max(plan.tokens, tokens);
    for (int64_t h = 0; h < H; h += plan.heads) {
      plan.tiles[plan.n++] = {segment, first, tokens, h, std::min(plan.heads, H - h)};
    }
  };
  for (int64_t i = 0; i < call.n_segments; ++i) {
    int64_t len = call.segments[i].len, dense = dense_tokens(call, call.segments[i]);
    for (int64_t first = len - 1; first >= dense; --first) add(i, first, 1);
    for (int64_t first = (dense - 1) / core.tile_tokens * core.tile_tokens; first >= 0 && dense > 0;
         first -= core.tile_tokens) {
      add(i, first, std::min(core.tile_tokens, dense - first));
    }
  }
  return plan;
}

template <class R>
void forward(Ctx& ctx, const Core<R>& core, const Call<R>& call) {
  auto mark = ctx.arena.mark();
  Plan plan = plan_tiles(ctx, core, call);
  int64_t workers = std::min<int64_t>(ctx.threads.count(), plan.n);
  auto* scratch = ctx.arena.allocate<Scratch<R>>(workers);
  for (int64_t i = 0; i < workers; ++i) new (scratch + i) Scratch<R>(ctx.arena, core, plan.tokens, plan.heads);
  write_keys(ctx, core, call);
  for_items(ctx.threads, workers, plan.n,
            [&](int64_t worker, int64_t item) { forward_tile(core, call, plan.tiles[item], scratch[worker]); });
  ctx.arena.rewind(mark);
}

template <class R>
Tensor run(Ctx& ctx, const Tensor& q, const Tensor& c_kv, const Tensor& k_rope, const MlaWeights& w,
           const MlaShape& shape, std::span<const Segment> segments, std::span<const CacheRows> caches,
           const Tensor& chosen) {
  Core<R> core(ctx, shape);
  int64_t N = q.rows(), rows = N * shape.heads;
  Call<R> call{q, c_kv, k_rope, ctx.make(N, shape.heads * shape.v), w.kv_b, w.kv_b, w.kv_b, shape};
  if (w.kv_b == nullptr) {
    call.uk = w.k_b;
    call.uv = w.v_b;
  }
  auto mark = ctx.arena.mark();
  auto* kept = ctx.arena.allocate<Segment>(static_cast<int64_t>(segments.size()));
  std::copy(segments.begin(), segments.end(), kept);
  call.segments = kept;
  call.chosen = chosen;
  call.n_segments = static_cast<int64_t>(segments.size());
  call.keys = attend::place_keys(ctx, "mla_attend", core.width, core.query_ld, segments, caches);
  if (ctx.tape != nullptr) {
    call.saved.queries = ctx.arena.allocate<std::byte>(rows * core.query_ld * core.bytes);
    call.saved.mixed = ctx.arena.allocate<std::byte>(rows * core.mixed_ld * core.bytes);
    call.saved.row_max = ctx.arena.allocate<R>(rows);
    call.saved.inv_sum = ctx.arena.allocate<R>(rows);
  }
  pack_weights(ctx, core, w, *call.uk, *call.uv);
  forward(ctx, core, call);
  if (ctx.tape != nullptr) {
    ctx.tape->record("mla_attend", [call, c = ctx]() mutable {
      if (c.tape->has_grad(call.out)) backward(c, call);
    });
  } else {
    ctx.arena.rewind(mark);
  }
  return call.out;
}

void check_weights(const Ctx& ctx, const MlaWeights& w, const MlaShape& s) {
  if (w.kv_b != nullptr) {
    UNHA_CHECK(w.kv_b->rows() == s.heads * (s.nope + s.v) && w.kv_b->cols() == s.latent, "mla_attend: wkv_b [{}, {}]",
               w.kv_b->rows(), w.kv_b->cols());
    check_gradients(ctx, *w.kv_b, "mla_attend");
    return;
  }
  auto size = [](const Weight& weight) { return weight.rows() * weight.cols(); };
  UNHA_CHECK(size(*w.k_b) == s.heads * s.nope * s.latent && size(*w.v_b) == s.heads * s.v * s.latent,
             "mla_attend: k_b of {} numbers, v_b of {}", size(*w.k_b), size(*w.v_b));
  UNHA_CHECK(ctx.tape == nullptr, "mla_attend: gradients of weights in two parts");
}

}  // namespace
}  // namespace mla

Tensor mla_attend(Ctx& ctx, Tensor q, Tensor c_kv, Tensor k_rope, const MlaWeights& weights, const MlaShape& shape,
                  std::span<const Segment> segments, std::span<const CacheRows> caches, const Tensor& chosen) {
  UNHA_CHECK(q.cols() == shape.heads * (shape.nope + shape.rope) && c_kv.cols() == shape.latent &&
                 k_rope.cols() == shape.rope && q.rows() == c_kv.rows() && q.rows() == k_rope.rows(),
             "mla_attend: q [{}, {}], c_kv [{}, {}], k_rope [{}, {}]", q.rows(), q.cols(), c_kv.rows(), c_kv.cols(),
             k_rope.rows(), k_rope.cols());
  mla::check_weights(ctx, weights, shape);
  UNHA_CHECK(caches.empty() || (caches.size() == segments.size() && ctx.tape == nullptr),
             "mla_attend: {} caches for {} segments{}", caches.size(), segments.size(),
             ctx.tape != nullptr ? ", while a tape records" : "");
  UNHA_CHECK(chosen.empty() || (chosen.dtype() == DType::kI32 && chosen.rows() == q.rows() && ctx.tape == nullptr),
             "mla_attend: chosen keys [{}, {}] for {} tokens{}", chosen.rows(), chosen.cols(), q.rows(),
             ctx.tape != nullptr ? ", while a tape records" : "");
  return ctx.with_real([&](auto real) {
    return mla::run<decltype(real)>(ctx, q, c_kv, k_rope, weights, shape, segments, caches, chosen);
  });
}

}  // namespace unha::ops
