// SPDX-License-Identifier: Apache-2.0
#include "ops/add.h"

#include <cstring>

#include "ops/grain.h"

namespace unha::ops {

namespace {

// grad(to) += d, row by row.
void add_grad(Ctx& ctx, const Tensor& d, const Tensor& to) {
  if (to.slot() == nullptr) return;
  Tensor sum = ctx.tape->grad(to);
  ctx.with_real([&](auto real) {
    using R = decltype(real);
    const auto& rows = ctx.kernels<R>().rows;
    ctx.threads.parallel_for(d.rows(), row_grain(d.cols()), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) rows.accumulate(d.row<R>(i), d.cols(), sum.row<R>(i));
    });
  });
}

void copy_rows(Ctx& ctx, const Tensor& from, const Tensor& to) {
  auto row_bytes = static_cast<size_t>(from.cols() * dtype_bytes(from.dtype()));
  int64_t from_step = from.stride() * dtype_bytes(from.dtype()), to_step = to.stride() * dtype_bytes(to.dtype());
  ctx.threads.parallel_for(from.rows(), row_grain(from.cols()), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      std::memcpy(to.bytes() + i * to_step, from.bytes() + i * from_step, row_bytes);
  });
}

}  // namespace

Tensor add(Ctx& ctx, Tensor a, Tensor b) {
  UNHA_CHECK(a.rows() == b.rows() && a.cols() == b.cols(), "add: [{}, {}] and [{}, {}]", a.rows(), a.cols(), b.rows(),
             b.cols());
  Tensor y = ctx.make(a.rows(), a.cols());
  ctx.with_real([&](auto real) {
    using R = decltype(real);
    const auto& rows = ctx.kernels<R>().rows;
    ctx.threads.parallel_for(y.rows(), row_grain(y.cols()), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) rows.add(a.row<R>(i), b.row<R>(i), y.cols(), y.row<R>(i));
    });
  });
  if (ctx.tape != nullptr) {
    ctx.tape->record("add", [=, c = ctx]() mutable {
      if (!c.tape->has_grad(y)) return;
      Tensor d_y = c.tape->grad(y);
      add_grad(c, d_y, a);
      add_grad(c, d_y, b);
    });
  }
  return y;
}

Tensor concat_cols(Ctx& ctx, Tensor a, Tensor b) {
  UNHA_CHECK(a.rows() == b.rows() && a.dtype() == ctx.real() && b.dtype() == ctx.real(), "concat_cols: {} and {} rows",
             a.rows(), b.rows());
  int64_t A = a.cols(), B = b.cols();
  Tensor y = ctx.make(a.rows(), A + B);
  copy_rows(ctx, a, y.slice_cols(0, A));
  copy_rows(ctx, b, y.slice_cols(A, B));
  if (ctx.tape != nullptr) {
    ctx.tape->record("concat_cols", [=, c = ctx]() mutable {
      if (!c.tape->has_grad(y)) return;
      Tensor d_y = c.tape->grad(y);
      add_grad(c, d_y.slice_cols(0, A), a);
      add_grad(c, d_y.slice_cols(A, B), b);
    });
  }
  return y;
}

}  // namespace unha::ops
