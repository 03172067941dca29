// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "ops/ctx.h"
#include "ops/weight.h"

namespace unha::ops {

// Rows of w [V, D] (real, or widened exactly) by id -> [N, D]. Ids lie in [0, V); `ids` need not outlive the call.
// Backward: the rows of one id are summed in order of token position, then added to the gradient of its row.
Tensor embedding(Ctx& ctx, const Weight& w, std::span<const int32_t> ids);

}  // namespace unha::ops
