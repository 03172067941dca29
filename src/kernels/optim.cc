// SPDX-License-Identifier: Apache-2.0
#include "kernels/optim.h"

#include <cmath>

#include "base/exact_math.h"

namespace unha::kernels {

template <class R>
AdamWStep<R> adamw_step(int64_t step, double learning_rate, double beta1, double beta2, double eps, double weight_decay,
                        double grad_scale) {
  auto power = [step](double beta) { return beta > 0 ? exact::pow(beta, static_cast<double>(step)) : 0.0; };
  AdamWStep<R> s;
  s.decay = static_cast<R>(1 - learning_rate * weight_decay);
  s.keep1 = static_cast<R>(1 - beta1);
  s.beta2 = static_cast<R>(beta2);
  s.keep2 = static_cast<R>(1 - beta2);
  s.rate = static_cast<R>(learning_rate / (1 - power(beta1)));
  s.root_correction = static_cast<R>(1 / std::sqrt(1 - power(beta2)));
  s.eps = static_cast<R>(eps);
  s.grad_scale = static_cast<R>(grad_scale);
  return s;
}

template AdamWStep<float> adamw_step<float>(int64_t, double, double, double, double, double, double);
template AdamWStep<double> adamw_step<double>(int64_t, double, double, double, double, double, double);

}  // namespace unha::kernels
