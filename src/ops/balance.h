// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "ops/moe_route.h"
#include "ops/segment.h"

namespace unha::ops {

// The sequence-wise balance loss of DeepSeek-V3 (deepseek-v3.md section 3.3) of one MoE layer -> [1, 1]. Per segment of
// T tokens: alpha * sum_e f_e P_e, with f_e = E / (K T) * #{t: e among the K best scores}, constant, and P_e the mean
// over t of s_e / sum_j s_j. As in the paper's formula, "best" is by the scores without bias and without groups, not by
// the experts actually taken. Segments are averaged by their tokens: sum_seg (T_seg / N) L_seg. When a tape records,
// the loss has seeded its own gradient (d total / d loss = 1): add the value, do nothing else.
Tensor balance_loss(Ctx& ctx, const Routing& routing, std::span<const Segment> segments, const RouteConfig& config,
                    double alpha);

}  // namespace unha::ops
