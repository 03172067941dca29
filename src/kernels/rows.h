// SPDX-License-Identifier: Apache-2.0
// Row by row arithmetic of small ops: norms, SwiGLU, sums. Everything is in the class's real; reductions along a row
// use 16 virtual lanes (numerics.md section 2). Rows may have any length. Functions named *_back add to what their
// gradients hold: d = d + contribution.
#pragma once

#include <cstdint>

namespace unha::kernels {

template <class R>
struct RowsKernels {
  // y[i] = w[i] * (x[i] * inv), inv = 1 / sqrt(mean(x^2) + eps), which is returned.
  R (*rms_norm)(const R* x, const R* w, int64_t n, R eps, R* y);
  // d_x += inv * w * d_y - x * inv^3 * mean(w * d_y * x)
  void (*rms_norm_back)(const R* x, const R* w, const R* d_y, int64_t n, R inv, R* d_x);
  // d_w[j] += one chain over rows i in order of d_y[i][j] * (x[i][j] * inv[i]), j < cols.
  void (*rms_norm_weight_back)(const R* x, int64_t x_stride, const R* d_y, int64_t d_y_stride, const R* inv,
                               int64_t rows, int64_t cols, R* d_w);

  // y = silu(gate) * up
  void (*swiglu)(const R* gate, const R* up, int64_t n, R* y);
  // Either gradient may be null.
  void (*swiglu_back)(const R* gate, const R* up, const R* d_y, int64_t n, R* d_gate, R* d_up);

  void (*add)(const R* a, const R* b, int64_t n, R* y);    // y = a + b
  void (*accumulate)(const R* x, int64_t n, R* y);         // y = y + x
  void (*widen_bf16)(const uint16_t* x, int64_t n, R* y);  // exact
  R (*sum)(const R* x, int64_t n);                         // 16 virtual lanes
  // y[j] += one chain over the rows listed, in their order, of x[index[i]][j].
  void (*gather_sum)(const R* x, int64_t stride, const int32_t* index, int64_t count, int64_t n, R* y);
};

}  // namespace unha::kernels
