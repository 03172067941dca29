// SPDX-License-Identifier: Apache-2.0
#include "ops/layer_norm.h"

#include "ops/grain.h"

namespace unha::ops {

Tensor layer_norm(Ctx& ctx, Tensor x, const Weight& weight, const Weight& bias, double eps) {
  UNHA_CHECK(ctx.tape == nullptr, "layer_norm: no backward");
  UNHA_CHECK(weight.rows() == 1 && weight.cols() == x.cols() && bias.rows() == 1 && bias.cols() == x.cols(),
             "layer_norm: weight [{}, {}], bias [{}, {}] against x [.., {}]", weight.rows(), weight.cols(), bias.rows(),
             bias.cols(), x.cols());
  UNHA_CHECK(weight.value.dtype() == ctx.real() && bias.value.dtype() == ctx.real(), "layer_norm: weight of {}",
             dtype_name(weight.value.dtype()));
  Tensor y = ctx.make(x.rows(), x.cols());
  ctx.with_real([&](auto real) {
    using R = decltype(real);
    const auto& kernels = ctx.kernels<R>().index;
    ctx.threads.parallel_for(x.rows(), row_grain(x.cols()), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        kernels.layer_norm(x.row<R>(i), weight.value.data<R>(), bias.value.data<R>(), x.cols(), static_cast<R>(eps),
                           y.row<R>(i));
      }
    });
  });
  return y;
}

}  // namespace unha::ops
