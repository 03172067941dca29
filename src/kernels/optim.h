// SPDX-License-Identifier: Apache-2.0
// One pass of the optimizer over a stretch of parameters, and the helpers of gradients. Elements are independent
// (except in sum_squares), so that any cut for the threads gives the same bytes.
#pragma once

#include <cstdint>

namespace unha::kernels {

// AdamW with decoupled decay, as PyTorch has it. Per element, with g = grad_scale * grad:
//   p = p * decay;  m = m + (g - m) * (1 - beta1);  v = v * beta2 + g * g * (1 - beta2)
//   p = p - rate * m / (sqrt(v) * root_correction + eps)
// adamw_step() makes this from the usual numbers.
template <class R>
struct AdamWStep {
  R decay;            // 1 - learning rate * weight decay
  R keep1;            // 1 - beta1
  R beta2;            //
  R keep2;            // 1 - beta2
  R rate;             // learning rate / (1 - beta1^step)
  R root_correction;  // 1 / sqrt(1 - beta2^step)
  R eps;              //
  R grad_scale;       // what clipping multiplies gradients with
};

// step counts from 1. Computed in double by our own pow, then rounded.
template <class R>
AdamWStep<R> adamw_step(int64_t step, double learning_rate, double beta1, double beta2, double eps, double weight_decay,
                        double grad_scale);

template <class R>
struct OptimKernels {
  // Updates n parameters and writes the new values, rounded, to out: what the forward reads. out may be null.
  void (*adamw)(R* master, R* m, R* v, const R* grad, int64_t n, const AdamWStep<R>& step, R* out);
  void (*adamw_bf16)(R* master, R* m, R* v, const R* grad, int64_t n, const AdamWStep<R>& step, uint16_t* out);
  R (*sum_squares)(const R* x, int64_t n);   // in 16 virtual lanes, folded 8, 4, 2, 1
  void (*scale)(R* x, int64_t n, R factor);  // x = x * factor
  void (*add)(R* y, const R* x, int64_t n);  // y = y + x
  void (*round_bf16)(const R* x, uint16_t* y, int64_t n);
  void (*widen_bf16)(const uint16_t* x, R* y, int64_t n);
};

}  // namespace unha::kernels
