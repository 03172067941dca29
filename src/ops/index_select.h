// SPDX-License-Identifier: Apache-2.0
// The lightning indexer's choice (DeepSeek-V3.2 report, eq. 1; deepseek-v3.md section 6.1): each token scores all keys
// before it with a few small heads, I[t][s] = sum over h of w[t][h] ReLU(q[t][h] . k[s]), and keeps the best. Without
// the Hadamard rotation, which changes nothing in exact arithmetic, and without the rounding to FP8.
#pragma once

#include <span>

#include "ops/ctx.h"
#include "ops/segment.h"

namespace unha {

struct IndexShape {
  int64_t heads = 0;     // HI = index_n_heads
  int64_t head_dim = 0;  // dI = index_head_dim
  int64_t topk = 0;      // index_topk
};

namespace ops {

// q [N, HI*dI] and k [N, dI], rotated; w [N, HI], which is scaled here by HI^-1/2 dI^-1/2 -> ids [N, topk] int32: the
// positions of the topk largest I[t][s], s <= t, ascending; ties go to the lower position, NaN counts as -inf. A token
// that sees no more than topk keys takes them all; the rest of its row is -1. Segments and caches as for mla_attend: a
// cache's rows are dI wide and hold k as the class rounds operands, also without a cache. No backward (a check).
Tensor index_select(Ctx& ctx, Tensor q, Tensor k, Tensor w, const IndexShape& shape, std::span<const Segment> segments,
                    std::span<const CacheRows> caches);

}  // namespace ops
}  // namespace unha
