// SPDX-License-Identifier: Apache-2.0
// Engram's context-aware gate: how much of the fetched value each residual stream lets in (Engram paper, eq. 3-6, and
// its code's signed square root).
#pragma once

#include <span>

#include "ops/ctx.h"
#include "ops/weight.h"

namespace unha::ops {

constexpr int64_t kMaxStreams = 16;

struct EngramGateConfig {
  double eps = 1.1920928955078125e-07;  // of both norms: machine epsilon of f32
  bool signed_sqrt = true;
  int layer = -1;  // for the observer, who sees "engram.gate" [N, M]
};

// For each of M streams m:
//   s = <RMS(x_m; gx_m), RMS(key_m; gk_m)> / sqrt(d)
//   gate = sigmoid(sign(s) sqrt(max(|s|, 1e-6))), or sigmoid(s) without signed_sqrt
//   u_m = gate * value
// x [N, M*d]; keys: M of [N, d]; value [N, d]; gx, gk: M of [1, d] -> u [N, M*d]. At s == 0 the square-root form gives
// 0.5 and no gradient; up to |s| = 1e-6 it has none either.
Tensor engram_gate(Ctx& ctx, Tensor x, std::span<const Tensor> keys, Tensor value, std::span<const Weight* const> gx,
                   std::span<const Weight* const> gk, const EngramGateConfig& config);

}  // namespace unha::ops
