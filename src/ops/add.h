// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ops/ctx.h"

namespace unha::ops {

// a + b: [N, D], [N, D] -> [N, D].
Tensor add(Ctx& ctx, Tensor a, Tensor b);
// [a ; b] along columns: [N, A], [N, B] -> [N, A + B].
Tensor concat_cols(Ctx& ctx, Tensor a, Tensor b);

}  // namespace unha::ops
