// SPDX-License-Identifier: Apache-2.0
#include "ops/linear.h"

#include "ops/matmul.h"
#include "ops/panels.h"

namespace unha::ops {

using kernels::Accumulate;

namespace {

template <class R>
void add_bias(Ctx& ctx, Tensor y, const Tensor& bias) {
  ctx.threads.parallel_for(y.rows(), 64, [&](int64_t begin, int64_t end) {
    const R* b = bias.data<R>();
    for (int64_t i = begin; i < end; ++i) {
      R* row = y.row<R>(i);
      for (int64_t j = 0; j < y.cols(); ++j) row[j] = row[j] + b[j];
    }
  });
}

// d_bias[j] += sum over rows of d_y[i][j], one chain over tokens in order.
template <class R>
void bias_grad(Ctx& ctx, const Tensor& d_y, const Tensor& d_bias) {
  constexpr int64_t kColumns = 64;
  ctx.threads.parallel_for(d_y.cols(), kColumns, [&](int64_t begin, int64_t end) {
    R sums[kColumns] = {};
    for (int64_t i = 0; i < d_y.rows(); ++i) {
      for (int64_t j = begin; j < end; ++j) sums[j - begin] = sums[j - begin] + d_y.row<R>(i)[j];
    }
    for (int64_t j = begin; j < end; ++j) d_bias.data<R>()[j] = d_bias.data<R>()[j] + sums[j - begin];
  });
}

}  // namespace

Tensor linear(Ctx& ctx, Tensor x, const Weight& w, const Weight* bias) {
  UNHA_CHECK(w.cols() == x.cols(), "linear: weight [{}, {}] against x [.., {}]", w.rows(), w.cols(), x.cols());
  int64_t N = x.rows(), out = w.rows(), in = w.cols();
  Tensor y = ctx.make(N, out);
  check_gradients(ctx, w, "linear");
  matmul_weight(ctx, Operand::rows_of(x), w, N, y);
  if (bias != nullptr) ctx.with_real([&](auto real) { add_bias<decltype(real)>(ctx, y, bias->value); });
  if (ctx.tape != nullptr) {
    ctx.tape->record("linear", [=, &w, c = ctx]() mutable {
      if (!c.tape->has_grad(y)) return;
      Tensor d_y = c.tape->grad(y);  // [N, out]
      if (bias != nullptr && bias->wants_grad()) {
        c.with_real([&](auto real) { bias_grad<decltype(real)>(c, d_y, bias->grad); });
      }
      if (w.wants_grad()) {  // d_W[out, in] += d_y^T x, a chain over tokens
        matmul(c, Operand::transposed(d_y), Operand::rows_of(x), out, in, N, w.grad, Accumulate::kAdd);
      }
      if (x.slot() != nullptr) {  // d_x[N, in] += d_y W, a chain over out
        matmul(c, Operand::rows_of(d_y), Operand::rows_of(w.value), N, in, out, c.tape->grad(x), Accumulate::kAdd);
      }
    });
  }
  return y;
}

}  // namespace unha::ops
