// SPDX-License-Identifier: Apache-2.0
// Arithmetic of the lightning indexer (deepseek-v3.md section 6.1) between its matrix products, in the class's real.
#pragma once

#include <cstdint>

namespace unha::kernels {

template <class R>
struct IndexKernels {
  // y[i] = w[i] (x[i] - mean) inv + b[i], inv = 1 / sqrt(mean((x - mean)^2) + eps).
  void (*layer_norm)(const R* x, const R* w, const R* b, int64_t n, R eps, R* y);
  // out[j] = sum over h ascending of fma(weights[h], max(0, scores[h * stride + j]), acc) from zero, j < n.
  void (*mix_heads)(const R* scores, int64_t stride, const R* weights, int64_t heads, int64_t n, R* out);
};

}  // namespace unha::kernels
