// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ops/ctx.h"

namespace unha::ops {

// silu(gate) * up: [N, F], [N, F] -> [N, F].
Tensor swiglu(Ctx& ctx, Tensor gate, Tensor up);

}  // namespace unha::ops
