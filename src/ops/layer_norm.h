// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ops/ctx.h"
#include "ops/weight.h"

namespace unha::ops {

// x [N, D]; weight, bias [1, D] real -> [N, D], weight (x - mean) / sqrt(variance + eps) + bias of each row. No
// backward: only the keys of the indexer use it (a check refuses a tape).
Tensor layer_norm(Ctx& ctx, Tensor x, const Weight& weight, const Weight& bias, double eps);

}  // namespace unha::ops
