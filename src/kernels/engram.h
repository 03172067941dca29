// SPDX-License-Identifier: Apache-2.0
// Engram's loops over rows: the gate between a residual stream and a fetched value, the short causal convolution, and
// the sums that merge gradients of table rows. All of it is real (f32; f64 in the test-only class) in every class; only
// the convolution's normed rows may be stored as bf16. Formulas: docs of DeepSeek's Engram, backward passes derived.
//
// Order: dot products and means along a row use 16 lanes folded 8, 4, 2, 1; sums over tokens are one chain per output
// in order of tokens, so threads may own any columns or rows.
#pragma once

#include <cstdint>

namespace unha::kernels {

// One residual stream of N tokens. Row t of a matrix is at its pointer + t * its stride.
template <class R>
struct GateRows {
  const R* x;      // [N, d] the stream
  const R* key;    // [N, d]
  const R* value;  // [N, d]
  int64_t x_stride, key_stride, value_stride;
  const R* gx;  // [d] weight of the stream's norm
  const R* gk;  // [d] weight of the key's norm
  int64_t d;
  R eps;
  bool signed_sqrt;  // the gate is sigmoid(sign(s) sqrt(max(|s|, 1e-6))), sigmoid(0) at s == 0; else sigmoid(s)
  R* s;              // [N] each, with one stride: the scaled dot product, the gate, 1 / RMS of x and of key
  R* gate;
  R* rstd_x;
  R* rstd_k;
  int64_t saved_stride;
};

// Where gradients go; each may be null. All but `t` are added to.
template <class R>
struct GateGrads {
  const R* d_u;  // [N, d]
  R* d_x;
  R* d_key;
  R* d_value;
  int64_t d_u_stride, d_x_stride, d_key_stride, d_value_stride;
  R* t;  // [N] with saved_stride: d_s / sqrt(d), which the weights' gradients need
};

template <class R>
struct EngramKernels {
  // u[t] = gate[t] * value[t] for rows [begin, end); fills s, gate, rstd_x, rstd_k.
  void (*gate)(const GateRows<R>& rows, int64_t begin, int64_t end, R* u, int64_t u_stride);
  void (*gate_back)(const GateRows<R>& rows, const GateGrads<R>& grads, int64_t begin, int64_t end);
  // d_gx[c] += sum over t of t[t] x^ k^ gk, and d_gk likewise with gx, for columns [begin, end); one chain over [0, N).
  void (*gate_weights_back)(const GateRows<R>& rows, const R* t, int64_t N, int64_t begin, int64_t end, R* d_gx,
                            R* d_gk);

  // z = g * u / sqrt(mean(u^2) + eps) over one row [d]; z is bf16 or real. Returns the reciprocal root.
  R (*norm)(const R* u, const R* g, int64_t d, R eps, bool bf16, void* z);
  // d_u += d_y + rstd (q - u^ mean(q u^)), q = d_z g, u^ = u rstd, over one row [d].
  void (*norm_back)(const R* u, const R* g, R rstd, const R* d_y, const R* d_z, int64_t d, R* d_u);
  // d_g[c] += sum over t of d_z[t][c] u[t][c] rstd[t] for columns [begin, end).
  void (*norm_weight_back)(const R* u, int64_t u_stride, const R* d_z, int64_t d_z_stride, const R* rstd,
                           int64_t rstd_stride, int64_t N, int64_t begin, int64_t end, R* d_g);

  // y = u + silu(a), a[c] = sum over taps j, in order, of taps[j][c] * z[j][c]; z[j] null: before the start, left out.
  // taps [n_taps, C], z rows bf16 or real.
  void (*conv)(const void* const* z, bool bf16, const R* taps, int64_t n_taps, const R* u, int64_t C, R* y);
  // d_a = d_y * silu'(a), a as above.
  void (*conv_back)(const void* const* z, bool bf16, const R* taps, int64_t n_taps, const R* d_y, int64_t C, R* d_a);
  // d_z[c] = sum over taps j, in order, of d_a[j][c] * taps[j][c]; d_a[j] null: left out.
  void (*conv_input_back)(const R* const* d_a, const R* taps, int64_t n_taps, int64_t C, R* d_z);
  // sum[c] = chain over t in [0, N) of d_a[t][c] * z[t - lag][c] where place[t] >= lag, for columns [begin, end).
  void (*conv_tap_back)(const R* d_a, const void* z, bool bf16, int64_t stride, const int64_t* place, int64_t lag,
                        int64_t N, int64_t begin, int64_t end, R* sum);

  // out[c] = chain over i in [0, n) of the row [d] that places[i] names: row places[i] / columns of `from`, columns
  // from (places[i] % columns) * d on.
  void (*sum_rows)(const R* from, int64_t stride, int64_t columns, const uint32_t* places, int64_t n, int64_t d,
                   R* out);
};

}  // namespace unha::kernels
