// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "ops/moe_route.h"

namespace unha::ops {

// One expert: W_down (silu(W_gate x) * (W_up x)). gate and up [F, D], down [D, F]; routed experts share one F.
struct ExpertWeights {
  const Weight* gate = nullptr;
  const Weight* up = nullptr;
  const Weight* down = nullptr;
};

// y[n] = sum over n's experts, ascending in id, of fma(weight, expert(x[n]), acc); then + shared(x[n]) if not null.
// x [N, D] -> [N, D]. A token's result does not depend on which others are in the call.
//
// Backward: gradients of x (contributions summed in ascending id, then the shared expert, then added), of the routing
// weights, and of the experts, one chain over an expert's tokens in order; an expert without tokens gets nothing added.
// With d = gradient of y: the gradient of an expert's hidden row is weight * (W_down^T d), that of W_down the sum of
// d (weight * hidden)^T, that of the weight <W_down^T d, hidden>; d is rounded once per token in the bf16 classes.
Tensor moe_experts(Ctx& ctx, Tensor x, const Routing& routing, std::span<const ExpertWeights> experts,
                   const ExpertWeights* shared);

}  // namespace unha::ops
