// SPDX-License-Identifier: Apache-2.0
// Grouped-query attention (deepseek-v3.md section 12): query head h reads the keys and values of KV head
// h / (heads / kv_heads). Training, prefill and decode run the same arithmetic (numerics.md section 2).
#pragma once

#include <span>

#include "ops/ctx.h"
#include "ops/segment.h"

namespace unha {

struct GqaShape {
  int64_t heads = 0;     // H
  int64_t kv_heads = 0;  // KV, divides H
  int64_t head_dim = 0;
  double scale = 1;  // of the scores: head_dim^(-1/2)

  int64_t kv_width() const { return kv_heads * head_dim; }
};

namespace ops {

// q [N, H*head_dim], k [N, KV*head_dim], both rotated; v [N, KV*head_dim] -> [N, H*head_dim]. Causal within each
// segment. caches: one per segment, of rows [k ; v] at least 2*KV*head_dim wide in ctx.operand() (a check): rows
// [0, pos0) are read, rows [pos0, pos0+len) written, others never matter. Empty: no caches, all segments start at
// position 0; a tape wants this.
Tensor gqa_attend(Ctx& ctx, Tensor q, Tensor k, Tensor v, const GqaShape& shape, std::span<const Segment> segments,
                  std::span<const CacheRows> caches);

}  // namespace ops
}  // namespace unha
