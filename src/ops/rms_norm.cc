// SPDX-License-Identifier: Apache-2.0
// RMSNorm. Saved for backward: x and one number per row.
#include "ops/rms_norm.h"

#include "ops/grain.h"

namespace unha::ops {

namespace {

constexpr int64_t kColumnGrain = 64;

template <class R>
void forward(Ctx& ctx, const Tensor& x, const Tensor& w, double eps, const Tensor& y, const Tensor& inv) {
  const auto& rows = ctx.kernels<R>().rows;
  ctx.threads.parallel_for(x.rows(), row_grain(x.cols()), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      inv.data<R>()[i] = rows.rms_norm(x.row<R>(i), w.data<R>(), x.cols(), static_cast<R>(eps), y.row<R>(i));
    }
  });
}

template <class R>
void backward(Ctx& ctx, const Tensor& x, const Weight& w, const Tensor& inv, const Tensor& d_y) {
  const auto& rows = ctx.kernels<R>().rows;
  if (w.wants_grad()) {
    ctx.threads.parallel_for(x.cols(), kColumnGrain, [&](int64_t begin, int64_t end) {
      rows.rms_norm_weight_back(x.data<R>() + begin, x.stride(), d_y.data<R>() + begin, d_y.stride(), inv.data<R>(),
                                x.rows(), end - begin, w.grad.data<R>() + begin);
    });
  }
  if (x.slot() != nullptr) {
    Tensor d_x = ctx.tape->grad(x);
    ctx.threads.parallel_for(x.rows(), row_grain(x.cols()), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        rows.rms_norm_back(x.row<R>(i), w.value.data<R>(), d_y.row<R>(i), x.cols(), inv.data<R>()[i], d_x.row<R>(i));
      }
    });
  }
}

}  // namespace

Tensor rms_norm(Ctx& ctx, Tensor x, const Weight& w, double eps) {
  UNHA_CHECK(w.rows() == 1 && w.cols() == x.cols(), "rms_norm: weight [{}, {}] against x [.., {}]", w.rows(), w.cols(),
             x.cols());
  UNHA_CHECK(w.value.dtype() == ctx.real(), "rms_norm: weight of {}", dtype_name(w.value.dtype()));
  Tensor y = ctx.make(x.rows(), x.cols());
  Tensor inv = ctx.scratch(ctx.real(), 1, x.rows());
  ctx.with_real([&](auto real) { forward<decltype(real)>(ctx, x, w.value, eps, y, inv); });
  if (ctx.tape != nullptr) {
    ctx.tape->record("rms_norm", [=, &w, c = ctx]() mutable {
      if (!c.tape->has_grad(y)) return;
      Tensor d_y = c.tape->grad(y);
      c.with_real([&](auto real) { backward<decltype(real)>(c, x, w, inv, d_y); });
    });
  }
  return y;
}

}  // namespace unha::ops
