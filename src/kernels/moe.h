// SPDX-License-Identifier: Apache-2.0
// Arithmetic of the router and of the experts' rows, in the class's real. Sums along a row use 16 virtual lanes, sums
// over experts ascend in expert id (numerics.md section 2). *_back functions add to d_z / d_s.
#pragma once

#include <cstdint>

namespace unha::kernels {

template <class R>
struct MoeKernels {
  // Scores of the router: z[n] -> s[n].
  void (*sigmoid)(const R* z, int64_t n, R* s);
  void (*sigmoid_back)(const R* s, const R* d_s, int64_t n, R* d_z);
  void (*softmax)(const R* z, int64_t n, R* s);
  void (*softmax_back)(const R* s, const R* d_s, int64_t n, R* d_z);

  // The k largest of n scores, 0 < k <= n: ties to the lower index, ids ascending. Always k distinct indices, even
  // among NaNs and -inf. Scores taken become -inf.
  void (*top_k)(R* scores, int64_t n, int64_t k, int32_t* ids);

  // g[i] = s[ids[i]], divided by (sum g + 1e-20) if `normalise`, then times scale. count <= 64.
  void (*gates)(const R* s, const int32_t* ids, int64_t count, bool normalise, R scale, R* g);
  void (*gates_back)(const R* s, const int32_t* ids, int64_t count, bool normalise, R scale, const R* d_g, R* d_s);

  // y = sum over i ascending of fma(weights[i], rows[i], acc) from zero, then + shared if not null.
  void (*combine)(const R* const* rows, const R* weights, int64_t count, const R* shared, int64_t n, R* y);
  // d += the sum over i ascending of rows[i], from zero.
  void (*combine_back)(const R* const* rows, int64_t count, int64_t n, R* d);

  // One token in one expert, h = silu(gate) * up, y = weight * (W_down h), d_h = gradient of W_down h over weight:
  // gate and up become their gradients, weighted_h = weight * h; returns the gradient of weight, sum(d_h * h).
  R (*expert_back)(const R* d_h, R weight, int64_t n, R* gate, R* up, R* weighted_h);

  // Balance loss: p[e] += s[e] / sum(s); then d_s = ... of sum(f * p) * scale, added.
  void (*share)(const R* s, int64_t n, R* p);
  void (*share_back)(const R* s, const R* f, R scale, int64_t n, R* d_s);
};

}  // namespace unha::kernels
