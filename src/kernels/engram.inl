// SPDX-License-Identifier: Apache-2.0
// Engram's loops; see engram.h. Included inside a tier's namespace, after simd and math.

static inline int engram_lanes(int64_t left) { return static_cast<int>(left < 16 ? left : 16); }
static inline Real engram_lane0(Vec v) {
  Real x;
  store_n(&x, v, 1);
  return x;
}
static inline Vec engram_load(const void* p, bool bf16, int64_t at, int n) {
  return bf16 ? load_bf16_n(static_cast<const uint16_t*>(p) + at, n) : load_n(static_cast<const Real*>(p) + at, n);
}

static Real engram_rstd(const Real* x, int64_t d, Real eps) {
  Vec sum = zero();
  for (int64_t i = 0; i < d; i += 16) {
    Vec v = load_n(x + i, engram_lanes(d - i));
    sum = fma(v, v, sum);
  }
  Real mean = reduce_add(sum) / static_cast<Real>(d);
  return 1 / engram_lane0(sqrt(set(mean + eps)));
}

static Real engram_dot(const Real* a, const Real* b, int64_t d) {
  Vec sum = zero();
  for (int64_t i = 0; i < d; i += 16) {
    int n = engram_lanes(d - i);
    sum = fma(load_n(a + i, n), load_n(b + i, n), sum);
  }
  return reduce_add(sum);
}

static constexpr Real kGateFloor = Real(1e-6);

static Real engram_gate_of(Real s, bool signed_sqrt) {
  Real y = s;
  if (signed_sqrt) {
    Real size = s < 0 ? -s : s;
    Real root = engram_lane0(sqrt(set(size < kGateFloor ? kGateFloor : size)));
    y = s > 0 ? root : s < 0 ? -root : s;  // zero stays zero, NaN stays NaN
  }
  return engram_lane0(sigmoid(set(y)));
}

static void engram_gate(const GateRows<Real>& rows, int64_t begin, int64_t end, Real* u, int64_t u_stride) {
  int64_t d = rows.d;
  Real root_d = engram_lane0(sqrt(set(static_cast<Real>(d))));
  for (int64_t t = begin; t < end; ++t) {
    const Real* x = rows.x + t * rows.x_stride;
    const Real* key = rows.key + t * rows.key_stride;
    const Real* value = rows.value + t * rows.value_stride;
    Real rx = engram_rstd(x, d, rows.eps);
    Real rk = engram_rstd(key, d, rows.eps);
    Vec sum = zero();
    for (int64_t i = 0; i < d; i += 16) {
      int n = engram_lanes(d - i);
      Vec a = mul(mul(load_n(x + i, n), set(rx)), load_n(rows.gx + i, n));
      Vec b = mul(mul(load_n(key + i, n), set(rk)), load_n(rows.gk + i, n));
      sum = fma(a, b, sum);
    }
    Real s = reduce_add(sum) / root_d;
    Real gate = engram_gate_of(s, rows.signed_sqrt);
    int64_t at = t * rows.saved_stride;
    rows.s[at] = s;
    rows.gate[at] = gate;
    rows.rstd_x[at] = rx;
    rows.rstd_k[at] = rk;
    Real* out = u + t * u_stride;
    for (int64_t i = 0; i < d; i += 16) {
      int n = engram_lanes(d - i);
      store_n(out + i, mul(set(gate), load_n(value + i, n)), n);
    }
  }
}

static void engram_gate_back(const GateRows<Real>& rows, const GateGrads<Real>& grads, int64_t begin, int64_t end) {
  int64_t d = rows.d;
  Real root_d = engram_lane0(sqrt(set(static_cast<Real>(d))));
  for (int64_t row = begin; row < end; ++row) {
    const Real* x = rows.x + row * rows.x_stride;
    const Real* key = rows.key + row * rows.key_stride;
    const Real* d_u = grads.d_u + row * grads.d_u_stride;
    int64_t at = row * rows.saved_stride;
    Real s = rows.s[at], gate = rows.gate[at], rx = rows.rstd_x[at], rk = rows.rstd_k[at];
    if (grads.d_value != nullptr) {
      Real* d_value = grads.d_value + row * grads.d_value_stride;
      for (int64_t i = 0; i < d; i += 16) {
        int n = engram_lanes(d - i);
        store_n(d_value + i, fma(set(gate), load_n(d_u + i, n), load_n(d_value + i, n)), n);
      }
    }
    Real d_gate = engram_dot(d_u, rows.value + row * rows.value_stride, d);
    Real d_s = d_gate * (gate * (1 - gate));
    if (rows.signed_sqrt) {
      Real size = s < 0 ? -s : s;
      d_s = size > kGateFloor ? d_s / (2 * engram_lane0(sqrt(set(size)))) : Real{0};
    }
    Real t = d_s / root_d;
    grads.t[at] = t;
    // mean(q x^) of both norms is t * (sum of gx gk x^ k^) / d, and that sum is s * sqrt(d).
    Vec mean = set(d_s * s / static_cast<Real>(d));
    for (int64_t i = 0; i < d; i += 16) {
      int n = engram_lanes(d - i);
      Vec x_hat = mul(load_n(x + i, n), set(rx));
      Vec k_hat = mul(load_n(key + i, n), set(rk));
      Vec weight = mul(set(t), mul(load_n(rows.gx + i, n), load_n(rows.gk + i, n)));
      if (grads.d_x != nullptr) {
        Real* d_x = grads.d_x + row * grads.d_x_stride + i;
        Vec g = sub(mul(weight, k_hat), mul(x_hat, mean));
        store_n(d_x, fma(set(rx), g, load_n(d_x, n)), n);
      }
      if (grads.d_key != nullptr) {
        Real* d_key = grads.d_key + row * grads.d_key_stride + i;
        Vec g = sub(mul(weight, x_hat), mul(k_hat, mean));
        store_n(d_key, fma(set(rk), g, load_n(d_key, n)), n);
      }
    }
  }
}

static void engram_gate_weights_back(const GateRows<Real>& rows, const Real* t, int64_t N, int64_t begin, int64_t end,
                                     Real* d_gx, Real* d_gk) {
  for (int64_t c = begin; c < end; c += 16) {
    int n = engram_lanes(end - c);
    Vec gx = load_n(rows.gx + c, n), gk = load_n(rows.gk + c, n);
    Vec sum_x = zero(), sum_k = zero();
    for (int64_t row = 0; row < N; ++row) {
      int64_t at = row * rows.saved_stride;
      Vec x_hat = mul(load_n(rows.x + row * rows.x_stride + c, n), set(rows.rstd_x[at]));
      Vec k_hat = mul(load_n(rows.key + row * rows.key_stride + c, n), set(rows.rstd_k[at]));
      Vec both = mul(set(t[at]), mul(x_hat, k_hat));
      sum_x = fma(both, gk, sum_x);
      sum_k = fma(both, gx, sum_k);
    }
    if (d_gx != nullptr) store_n(d_gx + c, add(load_n(d_gx + c, n), sum_x), n);
    if (d_gk != nullptr) store_n(d_gk + c, add(load_n(d_gk + c, n), sum_k), n);
  }
}

static Real engram_norm(const Real* u, const Real* g, int64_t d, Real eps, bool bf16, void* z) {
  Real rstd = engram_rstd(u, d, eps);
  for (int64_t i = 0; i < d; i += 16) {
    int n = engram_lanes(d - i);
    Vec v = mul(mul(load_n(u + i, n), set(rstd)), load_n(g + i, n));
    if (bf16) {
      store_bf16_n(static_cast<uint16_t*>(z) + i, v, n);
    } else {
      store_n(static_cast<Real*>(z) + i, v, n);
    }
  }
  return rstd;
}

static void engram_norm_back(const Real* u, const Real* g, Real rstd, const Real* d_y, const Real* d_z, int64_t d,
                             Real* d_u) {
  Vec sum = zero();
  for (int64_t i = 0; i < d; i += 16) {
    int n = engram_lanes(d - i);
    Vec q = mul(load_n(d_z + i, n), load_n(g + i, n));
    sum = fma(q, mul(load_n(u + i, n), set(rstd)), sum);
  }
  Vec mean = set(reduce_add(sum) / static_cast<Real>(d));
  for (int64_t i = 0; i < d; i += 16) {
    int n = engram_lanes(d - i);
    Vec q = mul(load_n(d_z + i, n), load_n(g + i, n));
    Vec u_hat = mul(load_n(u + i, n), set(rstd));
    Vec total = fma(set(rstd), sub(q, mul(u_hat, mean)), load_n(d_y + i, n));
    store_n(d_u + i, add(load_n(d_u + i, n), total), n);
  }
}

static void engram_norm_weight_back(const Real* u, int64_t u_stride, const Real* d_z, int64_t d_z_stride,
                                    const Real* rstd, int64_t rstd_stride, int64_t N, int64_t begin, int64_t end,
                                    Real* d_g) {
  for (int64_t c = begin; c < end; c += 16) {
    int n = engram_lanes(end - c);
    Vec sum = zero();
    for (int64_t t = 0; t < N; ++t) {
      Vec u_hat = mul(load_n(u + t * u_stride + c, n), set(rstd[t * rstd_stride]));
      sum = fma(load_n(d_z + t * d_z_stride + c, n), u_hat, sum);
    }
    store_n(d_g + c, add(load_n(d_g + c, n), sum), n);
  }
}

static inline Vec engram_taps(const void* const* z, bool bf16, const Real* taps, int64_t n_taps, int64_t C, int64_t c,
                              int n) {
  Vec a = zero();
  for (int64_t j = 0; j < n_taps; ++j) {
    if (z[j] != nullptr) a = fma(load_n(taps + j * C + c, n), engram_load(z[j], bf16, c, n), a);
  }
  return a;
}

static void engram_conv(const void* const* z, bool bf16, const Real* taps, int64_t n_taps, const Real* u, int64_t C,
                        Real* y) {
  for (int64_t c = 0; c < C; c += 16) {
    int n = engram_lanes(C - c);
    Vec a = engram_taps(z, bf16, taps, n_taps, C, c, n);
    store_n(y + c, add(load_n(u + c, n), silu(a)), n);
  }
}

static void engram_conv_back(const void* const* z, bool bf16, const Real* taps, int64_t n_taps, const Real* d_y,
                             int64_t C, Real* d_a) {
  for (int64_t c = 0; c < C; c += 16) {
    int n = engram_lanes(C - c);
    Vec a = engram_taps(z, bf16, taps, n_taps, C, c, n);
    Vec sg = sigmoid(a);
    Vec slope = mul(sg, fma(a, sub(set(1), sg), set(1)));
    store_n(d_a + c, mul(load_n(d_y + c, n), slope), n);
  }
}

static void engram_conv_input_back(const Real* const* d_a, const Real* taps, int64_t n_taps, int64_t C, Real* d_z) {
  for (int64_t c = 0; c < C; c += 16) {
    int n = engram_lanes(C - c);
    Vec sum = zero();
    for (int64_t j = 0; j < n_taps; ++j) {
      if (d_a[j] != nullptr) sum = fma(load_n(d_a[j] + c, n), load_n(taps + j * C + c, n), sum);
    }
    store_n(d_z + c, sum, n);
  }
}

static void engram_conv_tap_back(const Real* d_a, const void* z, bool bf16, int64_t stride, const int64_t* place,
                                 int64_t lag, int64_t N, int64_t begin, int64_t end, Real* sum) {
  for (int64_t c = begin; c < end; c += 16) {
    int n = engram_lanes(end - c);
    Vec acc = zero();
    for (int64_t t = 0; t < N; ++t) {
      if (place[t] < lag) continue;
      acc = fma(load_n(d_a + t * stride + c, n), engram_load(z, bf16, (t - lag) * stride + c, n), acc);
    }
    store_n(sum + c, acc, n);
  }
}

static void engram_sum_rows(const Real* from, int64_t stride, int64_t columns, const uint32_t* places, int64_t count,
                            int64_t d, Real* out) {
  for (int64_t c = 0; c < d; c += 16) {
    int n = engram_lanes(d - c);
    Vec sum = zero();
    for (int64_t i = 0; i < count; ++i) {
      int64_t place = places[i];
      sum = add(sum, load_n(from + place / columns * stride + place % columns * d + c, n));
    }
    store_n(out + c, sum, n);
  }
}

static constexpr EngramKernels<Real> kEngram = {engram_gate,          engram_gate_back, engram_gate_weights_back,
                                                engram_norm,          engram_norm_back, engram_norm_weight_back,
                                                engram_conv,          engram_conv_back, engram_conv_input_back,
                                                engram_conv_tap_back, engram_sum_rows};
