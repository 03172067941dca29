// SPDX-License-Identifier: Apache-2.0
// Trades time for memory: a part of the model is run without a tape and forgotten; the backward pass runs it again.
#pragma once

#include <functional>

#include "ops/ctx.h"

namespace unha::ops {

// y = body(ctx, x), of x's shape; without a tape it takes the place of x (ops/in_place.h). While a tape records, only y
// stays in the arena; backward runs the body a second time, now recorded, with ctx.replay set and no observer.
// Gradients are bit-identical to those without recompute.
//
// The body must give the same bytes both times, and may use other tracked tensors beside x. Everything it allocates in
// the arena is gone when it returns: results on the side (routing counts, a loss's value) are copied out during the
// first run, while ctx.replay is false. A loss inside seeds its gradient in the replay, when there is a tape: once.
// What the body captures by reference must live until the tape has run backward.
Tensor recompute(Ctx& ctx, Tensor x, std::function<Tensor(Ctx&, Tensor)> body);

}  // namespace unha::ops
