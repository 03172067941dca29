// SPDX-License-Identifier: Apache-2.0
#include "ops/recompute.h"

#include <utility>

#include "ops/grain.h"
#include "ops/in_place.h"

namespace unha::ops {

namespace {

// The result moves down to where the body's memory began. It lies there or later, so rows may be moved in order.
Tensor keep_only(Ctx& ctx, Arena::Mark mark, const Tensor& y) {
  ctx.arena.rewind(mark);
  Tensor kept = ctx.make(y.rows(), y.cols());
  move_rows(y, kept);
  return kept;
}

// grad(y) += d, where y is what the replay made: its gradient is zero so far, so the sum is exact.
void pass_on(Ctx& ctx, const Tensor& d, const Tensor& y) {
  Tensor sum = ctx.tape->grad(y);
  ctx.with_real([&](auto real) {
    using R = decltype(real);
    const auto& rows = ctx.kernels<R>().rows;
    ctx.threads.parallel_for(d.rows(), row_grain(d.cols()), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) rows.accumulate(d.row<R>(i), d.cols(), sum.row<R>(i));
    });
  });
}

}  // namespace

Tensor recompute(Ctx& ctx, Tensor x, std::function<Tensor(Ctx&, Tensor)> body) {
  if (ctx.tape == nullptr) return in_place(ctx, x, [&] { return body(ctx, x); });
  auto mark = ctx.arena.mark();
  Ctx first = ctx;
  first.tape = nullptr;
  Tensor inside = body(first, x);
  UNHA_CHECK(inside.dtype() == ctx.real(), "recompute: result of {}", dtype_name(inside.dtype()));
  Tensor y = keep_only(ctx, mark, inside);
  ctx.tape->record("recompute", [=, body = std::move(body), c = ctx]() mutable {
    // The replay records onto the same tape: its steps run right after this closure, before all earlier ones, and the
    // first of them to be recorded, the last to run, gives the memory back.
    c.replay = true;
    c.observer = nullptr;
    c.tape->record("recompute: forget",
                   [&arena = c.arena, replay_mark = c.arena.mark()] { arena.rewind(replay_mark); });
    Tensor again = body(c, x);
    if (c.tape->has_grad(y)) pass_on(c, c.tape->grad(y), again);
  });
  return y;
}

}  // namespace unha::ops
