// SPDX-License-Identifier: Apache-2.0
// The output head and its cross entropy in one: logits exist for a few rows at a time and are never stored whole.
#pragma once

#include <cstdint>
#include <span>

#include "ops/ctx.h"
#include "ops/weight.h"

namespace unha::ops {

struct HeadLoss {
  Tensor nll;  // [N, 1] real, nats; 0 where the target is negative
};

// nll[i] = -log softmax(h[i] head^T)[targets[i]]; rows with a negative target are skipped. h [N, D], head [V, D].
// When a tape records, the op has seeded its own gradient: d total / d nll[i] = row_scale[i], or 1 if row_scale is
// empty. A gradient of the head is one chain over the rows that are not skipped, in order. chunk_rows: rows whose
// logits' gradients are held at once (even; 0: by size of V). It cannot change a result.
HeadLoss head_loss(Ctx& ctx, Tensor h, const Weight& head, std::span<const int32_t> targets,
                   std::span<const float> row_scale, int64_t chunk_rows = 0);

// The sum of a column of dense rows in 16 virtual lanes, for reports.
double sum_rows(Ctx& ctx, const Tensor& column);

}  // namespace unha::ops
