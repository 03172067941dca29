// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ops/ctx.h"
#include "ops/weight.h"

namespace unha::ops {

// y = x W^T (+ bias): x [N, in], w [out, in], bias [1, out] or null -> [N, out].
Tensor linear(Ctx& ctx, Tensor x, const Weight& w, const Weight* bias = nullptr);

}  // namespace unha::ops
