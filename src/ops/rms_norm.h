// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ops/ctx.h"
#include "ops/weight.h"

namespace unha::ops {

// y[i] = w * x[i] / sqrt(mean(x[i]^2) + eps), in real in every class: x [N, D], w [1, D] real -> [N, D].
Tensor rms_norm(Ctx& ctx, Tensor x, const Weight& w, double eps);

}  // namespace unha::ops
