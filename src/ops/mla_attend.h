// SPDX-License-Identifier: Apache-2.0
// Multi-head latent attention (deepseek-v3.md section 2.3) in its one form, the latent one: the query is absorbed,
// qc[h] = W_UK[h]^T q_nope[h]; all heads attend to the shared rows [c_kv ; k_rope], whose first `latent` columns are
// the values; o[h] = W_UV[h] ctx[h]. Training, prefill and decode run the same arithmetic (numerics.md section 2).
#pragma once

#include <span>

#include "ops/ctx.h"
#include "ops/segment.h"
#include "ops/weight.h"

namespace unha {

struct MlaShape {
  int64_t heads = 0;   // H
  int64_t nope = 0;    // qk_nope_head_dim
  int64_t rope = 0;    // qk_rope_head_dim
  int64_t v = 0;       // v_head_dim
  int64_t latent = 0;  // R = kv_lora_rank
  double scale = 1;    // of the scores: softmax_scale() of ops/rope.h
};

// The weights that make keys and values of latents, in either form that files have. One matrix, per head the rows of
// W_UK, then those of W_UV; or, as GGUF may have it, W_UK^T and W_UV of every head one after the other.
struct MlaWeights {
  const Weight* kv_b = nullptr;  // [H*(nope+v), R]
  const Weight* k_b = nullptr;   // [H, R, nope]; used where kv_b is null
  const Weight* v_b = nullptr;   // [H, v, R]

  MlaWeights(const Weight& joined) : kv_b(&joined) {}
  MlaWeights(const Weight& k, const Weight& v) : k_b(&k), v_b(&v) {}
};

namespace ops {

// q [N, H*(nope+rope)], rope part rotated; c_kv [N, R], normed; k_rope [N, rope], rotated -> [N, H*v].
// Causal within each segment. The panels of the weights are kept, whatever they are stored as: they are small. A tape
// wants the joined form, of floats.
// caches: one per segment, of rows at least R+rope wide in ctx.operand() (a check): rows [0, pos0) are read, rows
// [pos0, pos0+len) written, others never matter. Empty: no caches, all segments start at position 0; a tape wants this.
// chosen [N, K] int32: the keys that each token attends to, positions in ascending order, as index_select() gives them;
// a token at a position below K attends to all, whatever its row says. Keys form blocks of 64 by rank, so that all keys
// chosen are the bytes of none chosen. Empty: all keys; a tape wants this.
Tensor mla_attend(Ctx& ctx, Tensor q, Tensor c_kv, Tensor k_rope, const MlaWeights& weights, const MlaShape& shape,
                  std::span<const Segment> segments, std::span<const CacheRows> caches, const Tensor& chosen = {});

}  // namespace ops
}  // namespace unha
