// SPDX-License-Identifier: Apache-2.0
// The gradient of MLA, from scores computed again. With g = W_UV^T d_o the gradient of ctx, per row (token, head):
//   p = exp(s - max) / sum;  dp[j] = g . c[j];  delta = g . ctx;  ds[j] = p[j] (dp[j] - delta) scale
//   d_query = sum_j ds[j] key[j];  d_key[j] = sum over rows of ds[j] query;  d_c[j] += sum over rows of p[j] g
// Chains: d_query over keys in order, d_key and d_c over rows in order, weights over tokens in order. d_key and d_c
// are summed as [columns, keys], because then no operand of a block needs transposing but the queries of a tile.
#include <cstring>

#include "ops/mla_attend_parts.h"

namespace unha::ops::mla {

namespace {

constexpr int64_t kTokenChunk = 512;  // of a weight gradient's chain

// Gradients on their way, for the whole call.
template <class R>
struct Work {
  Core<R> core;
  Call<R> call;
  Tensor d_out, d_q, d_c, d_rope;   // empty: not wanted
  std::byte* d_value = nullptr;     // operands [N, H, value_ld]: rounded output gradients
  std::byte* g = nullptr;           // operands [N*H, mixed_ld]
  R* delta = nullptr;               // [N*H]
  std::byte* d_absorbed = nullptr;  // operands [N*H, mixed_ld]: d_query's latent part
  std::byte* uv = nullptr;          // per head panels of W_UV as B[v][latent]
  std::byte* uk = nullptr;          // per head panels of W_UK^T as B[latent][nope]
  int64_t uv_bytes = 0, uk_bytes = 0;
};

// A worker's memory for one tile and one block.
template <class R>
struct Scratch {
  R* reals;              // [rows, width]
  std::byte* queries_t;  // [width, rows] operands
  std::byte* g_t;        // [latent, rows] operands
  R* scores;             // [rows, kKeyBlock]
  R* d_p;                // [rows, kKeyBlock]
  std::byte* ds;         // [rows, kKeyBlock] operands
  std::byte* p_panels;   // B[rows][kKeyBlock]
  std::byte* ds_panels;  // B[rows][kKeyBlock]
  std::byte* keys;       // B[width][kKeyBlock]
  std::byte* key_rows;   // B[kKeyBlock][width]

  Scratch(Arena& arena, const Core<R>& core) {
    int64_t rows = core.tile_tokens * core.shape.heads;
    int64_t ld = core.gemm.padded_k(rows);
    reals = arena.allocate<R>(rows * core.width);
    queries_t = arena.allocate<std::byte>(core.width * ld * core.bytes);
    g_t = arena.allocate<std::byte>(core.shape.latent * ld * core.bytes);
    scores = arena.allocate<R>(rows * kKeyBlock);
    d_p = arena.allocate<R>(rows * kKeyBlock);
    ds = arena.allocate<std::byte>(rows * kKeyBlock * core.bytes);
    p_panels = arena.allocate<std::byte>(core.gemm.b_bytes(rows, kKeyBlock));
    ds_panels = arena.allocate<std::byte>(core.gemm.b_bytes(rows, kKeyBlock));
    keys = arena.allocate<std::byte>(core.gemm.b_bytes(core.width, kKeyBlock));
    key_rows = arena.allocate<std::byte>(core.gemm.b_bytes(kKeyBlock, core.width));
  }
};

// Sums of one block of keys.
template <class R>
struct KeySums {
  R* key;    // [width, kKeyBlock]
  R* value;  // [latent, kKeyBlock]
};

template <class R>
void pack_weights(Ctx& ctx, Work<R>& work) {
  const Core<R>& core = work.core;
  const MlaShape& s = core.shape;
  const Tensor& w = work.call.wkv_b->value;
  work.uv_bytes = core.gemm.b_bytes(s.v, s.latent);
  work.uk_bytes = core.gemm.b_bytes(s.latent, s.nope);
  work.uv = ctx.arena.allocate<std::byte>(s.heads * work.uv_bytes);
  work.uk = ctx.arena.allocate<std::byte>(s.heads * work.uk_bytes);
  ctx.threads.parallel_for(s.heads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t h = begin; h < end; ++h) {
      int64_t row = h * core.b_rows();
      core.pack_weight(w, row + s.nope, w.stride(), 1, s.v, s.latent, work.uv + h * work.uv_bytes);
      core.pack_weight(w, row, 1, w.stride(), s.latent, s.nope, work.uk + h * work.uk_bytes);
    }
  });
}

// g and delta of tokens [t0, t0 + tokens) of the call; reals: [tokens * H, latent].
template <class R>
void value_gradients(const Work<R>& work, int64_t t0, int64_t tokens, R* reals) {
  const Core<R>& core = work.core;
  int64_t H = core.shape.heads, latent = core.shape.latent, row0 = t0 * H, ld = H * core.value_ld;
  std::byte* g = work.g + row0 * core.mixed_ld * core.bytes;
  for (int64_t h = 0; h < H; ++h) {
    std::byte* d_value = work.d_value + (row0 + h) * core.value_ld * core.bytes;
    core.attend.round_rows(work.d_out.template row<R>(t0) + h * core.shape.v, work.d_out.stride(), tokens, core.shape.v,
                           d_value, ld, core.value_ld);
    core.gemm.multiply(d_value, ld, work.uv + h * work.uv_bytes, tokens, latent, core.shape.v, reals + h * latent,
                       H * latent, Accumulate::kSet);
  }
  core.attend.round_rows(reals, latent, tokens * H, latent, g, core.mixed_ld, core.mixed_ld);
  core.attend.dot_rows(g, work.call.saved.mixed + row0 * core.mixed_ld * core.bytes, core.mixed_ld, tokens * H, latent,
                       work.delta + row0);
}

// p and ds of a tile's rows over one block, in all their forms.
template <class R>
void block_gradients(const Work<R>& work, const KeyRows& keys, int64_t key0, const BlockView& view, int64_t row0,
                     const Scratch<R>& s) {
  const Core<R>& core = work.core;
  int64_t row = row0 + view.row, m = view.rows.rows;
  core.pack_b(keys.rows + key0 * keys.stride * core.bytes, 1, keys.stride, core.width, view.packed, s.keys);
  core.gemm.multiply(work.call.saved.queries + row * core.query_ld * core.bytes, core.query_ld, s.keys, m, view.columns,
                     core.width, s.scores, kKeyBlock, Accumulate::kSet);
  // A panel of values is the start of a panel of keys.
  for (int64_t n = 0; n < view.columns; n += kPanel) {
    core.gemm.multiply(work.g + row * core.mixed_ld * core.bytes, core.mixed_ld,
                       s.keys + n / kPanel * core.gemm.panel_bytes(core.width), m, kPanel, core.shape.latent, s.d_p + n,
                       kKeyBlock, Accumulate::kSet);
  }
  kernels::SoftmaxGrad<R> grad{view.rows, static_cast<R>(core.shape.scale), s.scores, s.d_p};
  grad.row_max = work.call.saved.row_max + row;
  grad.inv_sum = work.call.saved.inv_sum + row;
  grad.delta = work.delta + row;
  grad.ds = s.ds;
  grad.p_panels = s.p_panels;
  grad.ds_panels = s.ds_panels;
  core.attend.softmax_grad(grad);
}

// d_query of a whole tile is in s.reals: its parts go to d_q, the latent one through W_UK.
template <class R>
void finish_queries(Work<R>& work, int64_t t0, int64_t tokens, const Scratch<R>& s) {
  const Core<R>& core = work.core;
  const MlaShape& shape = core.shape;
  int64_t H = shape.heads, ld = H * core.mixed_ld;
  std::byte* absorbed = work.d_absorbed + t0 * ld * core.bytes;
  core.attend.round_rows(s.reals, core.width, tokens * H, shape.latent, absorbed, core.mixed_ld, core.mixed_ld);
  if (work.d_q.empty()) return;
  R* d_q = work.d_q.template row<R>(t0);
  for (int64_t h = 0; h < H; ++h) {
    R* head = d_q + h * core.q_columns();
    core.gemm.multiply(absorbed + h * core.mixed_ld * core.bytes, ld, work.uk + h * work.uk_bytes, tokens, shape.nope,
                       shape.latent, head, work.d_q.stride(), Accumulate::kAdd);
    for (int64_t t = 0; t < tokens; ++t) {
      const R* from = s.reals + (t * H + h) * core.width + shape.latent;
      R* to = head + t * work.d_q.stride() + shape.nope;
      for (int64_t j = 0; j < shape.rope; ++j) to[j] = to[j] + from[j];
    }
  }
}

struct Range {
  int64_t begin, end;
};

// Tiles (by their first token) of a segment against blocks of keys (by their first key): the rows' gradients if
// `queries`, the keys' sums if `sums` is not null (indexed from the first block of the range).
template <class R>
void sweep(Work<R>& work, int64_t segment_index, Range tokens, Range keys_range, bool queries, const KeySums<R>* sums,
           const Scratch<R>& s) {
  const Core<R>& core = work.core;
  const Segment& segment = work.call.segments[segment_index];
  const KeyRows& keys = work.call.keys[segment_index];
  int64_t H = core.shape.heads, width = core.width, latent = core.shape.latent;
  for (int64_t first = tokens.begin; first < tokens.end; first += core.tile_tokens) {
    int64_t n = std::min(core.tile_tokens, segment.len - first);
    int64_t row0 = (segment.begin + first) * H, rows = n * H, ld = core.gemm.padded_k(rows);
    if (first + n <= keys_range.begin) continue;
    if (sums != nullptr) {
      core.pack_a(work.call.saved.queries + row0 * core.query_ld * core.bytes, 1, core.query_ld, width, rows,
                  s.queries_t, ld);
      core.pack_a(work.g + row0 * core.mixed_ld * core.bytes, 1, core.mixed_ld, latent, rows, s.g_t, ld);
    }
    for (int64_t key0 = keys_range.begin; key0 < std::min(keys_range.end, first + n); key0 += kKeyBlock) {
      BlockView view = view_block(key0, first, n, H, keys.readable);
      block_gradients(work, keys, key0, view, row0, s);
      if (queries) {
        core.pack_b(keys.rows + key0 * keys.stride * core.bytes, keys.stride, 1, view.keys, width, s.key_rows);
        core.gemm.multiply(s.ds, kKeyBlock, s.key_rows, view.rows.rows, width, view.keys, s.reals + view.row * width,
                           width, key0 == 0 ? Accumulate::kSet : Accumulate::kContinue);
      }
      if (sums != nullptr) {
        const KeySums<R>& sum = sums[(key0 - keys_range.begin) / kKeyBlock];
        core.gemm.multiply(s.g_t + view.row * core.bytes, ld, s.p_panels, latent, view.columns, view.rows.rows,
                           sum.value, kKeyBlock, Accumulate::kContinue);
        core.gemm.multiply(s.queries_t + view.row * core.bytes, ld, s.ds_panels, width, view.columns, view.rows.rows,
                           sum.key, kKeyBlock, Accumulate::kContinue);
      }
    }
    if (queries) finish_queries(work, segment.begin + first, n, s);
  }
}

// Adds the sums of the block at key0 to the gradients of c_kv and k_rope: values first, then keys.
template <class R>
void add_sums(const Work<R>& work, const Segment& segment, int64_t key0, const KeySums<R>& sums) {
  int64_t latent = work.core.shape.latent;
  for (int64_t j = 0; j < std::min(kKeyBlock, segment.len - key0); ++j) {
    int64_t row = segment.begin + key0 + j;
    if (!work.d_c.empty()) {
      R* d_c = work.d_c.template row<R>(row);
      for (int64_t i = 0; i < latent; ++i) {
        d_c[i] = (d_c[i] + sums.value[i * kKeyBlock + j]) + sums.key[i * kKeyBlock + j];
      }
    }
    if (!work.d_rope.empty()) {
      R* d_rope = work.d_rope.template row<R>(row);
      for (int64_t i = 0; i < work.core.shape.rope; ++i) {
        d_rope[i] = d_rope[i] + sums.key[(latent + i) * kKeyBlock + j];
      }
    }
  }
}

template <class R>
KeySums<R> make_sums(Arena& arena, const Core<R>& core) {
  return {arena.allocate<R>(core.width * kKeyBlock), arena.allocate<R>(core.shape.latent * kKeyBlock)};
}
template <class R>
void clear(const Core<R>& core, const KeySums<R>& sums) {
  std::memset(sums.key, 0, static_cast<size_t>(core.width * kKeyBlock) * sizeof(R));
  std::memset(sums.value, 0, static_cast<size_t>(core.shape.latent * kKeyBlock) * sizeof(R));
}

// Whether one thread per segment (5 products) keeps the threads busier than all threads on every segment (7 products,
// because scores are computed for the rows and again for the keys).
template <class R>
bool segment_per_thread(const Ctx& ctx, const Call<R>& call) {
  double total = 0, longest = 0;
  for (int64_t i = 0; i < call.n_segments; ++i) {
    auto len = static_cast<double>(call.segments[i].len);
    total += len * len;
    longest = std::max(longest, len * len);
  }
  double share = total / ctx.threads.count();
  return share + longest * (1 - 1.0 / ctx.threads.count()) <= 1.4 * share || ctx.threads.count() == 1;
}

template <class R>
Scratch<R>* make_scratch(Ctx& ctx, const Core<R>& core) {
  auto* scratch = ctx.arena.allocate<Scratch<R>>(ctx.threads.count());
  for (int i = 0; i < ctx.threads.count(); ++i) new (scratch + i) Scratch<R>(ctx.arena, core);
  return scratch;
}

template <class R>
void by_segments(Ctx& ctx, Work<R>& work, const Scratch<R>* scratch) {
  const Call<R>& call = work.call;
  auto* order = ctx.arena.allocate<int64_t>(call.n_segments);
  int64_t longest = 0;
  for (int64_t i = 0; i < call.n_segments; ++i) {
    order[i] = i;
    longest = std::max(longest, call.segments[i].len);
  }
  std::sort(order, order + call.n_segments, [&](int64_t a, int64_t b) {
    return call.segments[a].len != call.segments[b].len ? call.segments[a].len > call.segments[b].len : a < b;
  });
  int64_t blocks = (longest + kKeyBlock - 1) / kKeyBlock;
  auto* sums = ctx.arena.allocate<KeySums<R>>(ctx.threads.count() * blocks);
  for (int64_t i = 0; i < ctx.threads.count() * blocks; ++i) sums[i] = make_sums(ctx.arena, work.core);
  for_items(ctx.threads, ctx.threads.count(), call.n_segments, [&](int64_t worker, int64_t item) {
    const Segment& segment = call.segments[order[item]];
    KeySums<R>* mine = sums + worker * blocks;
    for (int64_t b = 0; b * kKeyBlock < segment.len; ++b) clear(work.core, mine[b]);
    sweep(work, order[item], {0, segment.len}, {0, segment.len}, true, mine, scratch[worker]);
    for (int64_t b = 0; b * kKeyBlock < segment.len; ++b) add_sums(work, segment, b * kKeyBlock, mine[b]);
  });
}

template <class R>
void by_tiles_and_blocks(Ctx& ctx, Work<R>& work, const Scratch<R>* scratch) {
  const Core<R>& core = work.core;
  int workers = ctx.threads.count();
  auto* sums = ctx.arena.allocate<KeySums<R>>(workers);
  for (int i = 0; i < workers; ++i) sums[i] = make_sums(ctx.arena, core);
  for (int64_t index = 0; index < work.call.n_segments; ++index) {
    const Segment& segment = work.call.segments[index];
    int64_t tiles = (segment.len + core.tile_tokens - 1) / core.tile_tokens;
    for_items(ctx.threads, workers, tiles, [&](int64_t worker, int64_t item) {
      int64_t first = (tiles - 1 - item) * core.tile_tokens;  // long rows first
      sweep<R>(work, index, {first, std::min(segment.len, first + core.tile_tokens)}, {0, segment.len}, true, nullptr,
               scratch[worker]);
    });
    for_items(ctx.threads, workers, (segment.len + kKeyBlock - 1) / kKeyBlock, [&](int64_t worker, int64_t item) {
      int64_t key0 = item * kKeyBlock;
      clear(core, sums[worker]);
      sweep(work, index, {0, segment.len}, {key0, std::min(segment.len, key0 + kKeyBlock)}, false, sums + worker,
            scratch[worker]);
      add_sums(work, segment, key0, sums[worker]);
    });
  }
}

// d_W_UK[h] += q_nope[h]^T d_absorbed[h] and d_W_UV[h] += d_value[h]^T ctx[h], chains over the tokens of the call.
template <class R>
void weight_gradients(Ctx& ctx, const Work<R>& work) {
  const Core<R>& core = work.core;
  const MlaShape& s = core.shape;
  const Tensor& q = work.call.q;
  const Tensor& d_w = work.call.wkv_b->grad;
  int64_t N = q.rows(), H = s.heads, most = std::max(s.nope, s.v), workers = ctx.threads.count();
  int64_t a_bytes = round_up(core.gemm.a_bytes(most, kTokenChunk), 64);
  int64_t b_bytes = round_up(core.gemm.b_bytes(kTokenChunk, s.latent), 64);
  auto* a = ctx.arena.allocate<std::byte>(workers * a_bytes);
  auto* b = ctx.arena.allocate<std::byte>(workers * b_bytes);
  auto* sums = ctx.arena.allocate<R>(workers * most * s.latent);
  for_items(ctx.threads, workers, 2 * H, [&](int64_t worker, int64_t item) {
    int64_t h = item / 2, rows = item % 2 == 0 ? s.nope : s.v;
    std::byte *my_a = a + worker * a_bytes, *my_b = b + worker * b_bytes;
    R* sum = sums + worker * most * s.latent;
    for (int64_t t0 = 0; t0 < N; t0 += kTokenChunk) {
      int64_t n = std::min(kTokenChunk, N - t0), row = t0 * H + h, ld = core.gemm.padded_k(n);
      const std::byte* right =
          (item % 2 == 0 ? work.d_absorbed : work.call.saved.mixed) + row * core.mixed_ld * core.bytes;
      if (item % 2 == 0) {
        core.gemm.pack_a(q.row<R>(t0) + h * core.q_columns(), 1, q.stride(), rows, n, my_a, ld);
      } else {
        core.pack_a(work.d_value + row * core.value_ld * core.bytes, 1, H * core.value_ld, rows, n, my_a, ld);
      }
      core.pack_b(right, H * core.mixed_ld, 1, n, s.latent, my_b);
      core.gemm.multiply(my_a, ld, my_b, rows, s.latent, n, sum, s.latent,
                         t0 == 0 ? Accumulate::kSet : Accumulate::kContinue);
    }
    for (int64_t i = 0; i < rows; ++i) {
      R* to = d_w.row<R>(h * core.b_rows() + item % 2 * s.nope + i);
      for (int64_t j = 0; j < s.latent; ++j) to[j] = to[j] + sum[i * s.latent + j];
    }
  });
}

}  // namespace

template <class R>
void backward(Ctx& ctx, const Call<R>& call) {
  Core<R> core(ctx, call.shape);
  int64_t N = call.q.rows(), rows = N * core.shape.heads;
  auto mark = ctx.arena.mark();
  auto wanted = [&](const Tensor& x) { return x.slot() != nullptr ? ctx.tape->grad(x) : Tensor(); };
  Work<R> work{core, call, ctx.tape->grad(call.out), wanted(call.q), wanted(call.c_kv), wanted(call.k_rope)};
  work.d_value = ctx.arena.allocate<std::byte>(rows * core.value_ld * core.bytes);
  work.g = ctx.arena.allocate<std::byte>(rows * core.mixed_ld * core.bytes);
  work.delta = ctx.arena.allocate<R>(rows);
  work.d_absorbed = ctx.arena.allocate<std::byte>(rows * core.mixed_ld * core.bytes);
  pack_weights(ctx, work);
  Scratch<R>* scratch = make_scratch(ctx, core);
  for_items(ctx.threads, ctx.threads.count(), (N + core.tile_tokens - 1) / core.tile_tokens,
            [&](int64_t worker, int64_t item) {
              int64_t t0 = item * core.tile_tokens;
              value_gradients(work, t0, std::min(core.tile_tokens, N - t0), scratch[worker].reals);
            });
  if (segment_per_thread(ctx, call)) {
    by_segments(ctx, work, scratch);
  } else {
    by_tiles_and_blocks(ctx, work, scratch);
  }
  if (call.wkv_b->wants_grad()) weight_gradients(ctx, work);
  ctx.arena.rewind(mark);
}

template void backward<float>(Ctx& ctx, const Call<float>& call);
template void backward<double>(Ctx& ctx, const Call<double>& call);

}  // namespace unha::ops::mla
