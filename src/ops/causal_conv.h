// SPDX-License-Identifier: Apache-2.0
// Engram's short convolution: depthwise, causal, dilated, on the normed input, added to the input through SiLU. It
// looks back (taps - 1) * dilation positions of the same sequence; before the start there is nothing.
#pragma once

#include <span>

#include "ops/ctx.h"
#include "ops/segment.h"
#include "ops/weight.h"

namespace unha::ops {

constexpr int64_t kMaxTaps = 16;

// z[t, m] = RMS(u[t, m]; g_m, eps), rounded to the class's operand type (what a cache holds), with or without a cache
// a[t, c] = sum over j of taps[c, j] * z[t - (w - 1 - j) * dilation, c]
// y = u + SiLU(a)
// u [N, M*d]; g: M of [1, d]; taps [M*d, w] -> y [N, M*d]. caches: one per segment, rows of M*d of ctx.operand(), or
// none at all (then every segment starts at position 0).
Tensor causal_conv(Ctx& ctx, Tensor u, std::span<const Weight* const> g, const Weight& taps, int64_t dilation,
                   std::span<const Segment> segments, std::span<const CacheRows> caches, double eps = 1e-5);

}  // namespace unha::ops
