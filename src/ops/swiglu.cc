// SPDX-License-Identifier: Apache-2.0
#include "ops/swiglu.h"

#include "ops/grain.h"

namespace unha::ops {

Tensor swiglu(Ctx& ctx, Tensor gate, Tensor up) {
  UNHA_CHECK(gate.rows() == up.rows() && gate.cols() == up.cols(), "swiglu: gate [{}, {}] against up [{}, {}]",
             gate.rows(), gate.cols(), up.rows(), up.cols());
  int64_t N = gate.rows(), F = gate.cols();
  Tensor y = ctx.make(N, F);
  ctx.with_real([&](auto real) {
    using R = decltype(real);
    const auto& rows = ctx.kernels<R>().rows;
    ctx.threads.parallel_for(N, row_grain(F), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) rows.swiglu(gate.row<R>(i), up.row<R>(i), F, y.row<R>(i));
    });
  });
  if (ctx.tape != nullptr) {
    ctx.tape->record("swiglu", [=, c = ctx]() mutable {
      if (!c.tape->has_grad(y)) return;
      Tensor d_y = c.tape->grad(y);
      Tensor d_gate = gate.slot() != nullptr ? c.tape->grad(gate) : Tensor();
      Tensor d_up = up.slot() != nullptr ? c.tape->grad(up) : Tensor();
      c.with_real([&](auto real) {
        using R = decltype(real);
        const auto& rows = c.kernels<R>().rows;
        c.threads.parallel_for(N, row_grain(F), [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) {
            rows.swiglu_back(gate.row<R>(i), up.row<R>(i), d_y.row<R>(i), F,
                             d_gate.empty() ? nullptr : d_gate.row<R>(i), d_up.empty() ? nullptr : d_up.row<R>(i));
          }
        });
      });
    });
  }
  return y;
}

}  // namespace unha::ops
