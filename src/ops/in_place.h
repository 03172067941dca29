// SPDX-License-Identifier: Apache-2.0
// Memory of a forward that nobody will walk back: of each part of the model only its result stays.
#pragma once

#include <cstring>

#include "ops/ctx.h"

namespace unha::ops {

// Rows of `from` to `to`, of one shape and type; `to` may lie before `from` and overlap it.
inline void move_rows(const Tensor& from, const Tensor& to) {
  int64_t element = dtype_bytes(from.dtype());
  for (int64_t i = 0; i < from.rows(); ++i) {
    std::memmove(to.bytes() + i * to.stride() * element, from.bytes() + i * from.stride() * element,
                 static_cast<size_t>(from.cols() * element));
  }
}

// x = body(), of x's shape. While a tape records, as it stands; without one the result takes the place of the old x,
// and what the body allocated in the arena is gone: a step then needs the memory of its largest part, not of all.
template <class Body>
Tensor in_place(Ctx& ctx, Tensor x, const Body& body) {
  if (ctx.tape != nullptr) return body();
  auto mark = ctx.arena.mark();
  Tensor y = body();
  UNHA_CHECK(y.dtype() == x.dtype() && y.rows() == x.rows() && y.cols() == x.cols(), "in_place: another shape");
  move_rows(y, x);
  ctx.arena.rewind(mark);
  return x;
}

}  // namespace unha::ops
