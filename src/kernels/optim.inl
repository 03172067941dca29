// SPDX-License-Identifier: Apache-2.0
// Included inside a tier's namespace, after simd and math.

// 16 lanes of one update; what lies beyond n is zero and is not stored.
static inline Vec adamw_lanes(Real* master, Real* m, Real* v, const Real* grad, int n, const AdamWStep<Real>& s) {
  Vec g = mul(load_n(grad, n), set(s.grad_scale));
  Vec p = mul(load_n(master, n), set(s.decay));
  Vec first = load_n(m, n);
  first = fma(sub(g, first), set(s.keep1), first);
  Vec second = fma(mul(g, g), set(s.keep2), mul(load_n(v, n), set(s.beta2)));
  Vec bottom = fma(sqrt(second), set(s.root_correction), set(s.eps));
  p = sub(p, div(mul(first, set(s.rate)), bottom));
  store_n(m, first, n);
  store_n(v, second, n);
  store_n(master, p, n);
  return p;
}

static void adamw(Real* master, Real* m, Real* v, const Real* grad, int64_t n, const AdamWStep<Real>& s, Real* out) {
  for (int64_t i = 0; i < n; i += 16) {
    int lanes = n - i < 16 ? static_cast<int>(n - i) : 16;
    Vec p = adamw_lanes(master + i, m + i, v + i, grad + i, lanes, s);
    if (out != nullptr) store_n(out + i, p, lanes);
  }
}

static void adamw_bf16(Real* master, Real* m, Real* v, const Real* grad, int64_t n, const AdamWStep<Real>& s,
                       uint16_t* out) {
  for (int64_t i = 0; i < n; i += 16) {
    int lanes = n - i < 16 ? static_cast<int>(n - i) : 16;
    Vec p = adamw_lanes(master + i, m + i, v + i, grad + i, lanes, s);
    if (out != nullptr) store_bf16_n(out + i, p, lanes);
  }
}

static Real sum_squares(const Real* x, int64_t n) {
  Vec sum = zero();
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    Vec a = load(x + i);
    sum = fma(a, a, sum);
  }
  if (i < n) {
    Vec a = load_n(x + i, static_cast<int>(n - i));
    sum = fma(a, a, sum);
  }
  return reduce_add(sum);
}

static void scale_values(Real* x, int64_t n, Real factor) {
  for (int64_t i = 0; i < n; i += 16) {
    int lanes = n - i < 16 ? static_cast<int>(n - i) : 16;
    store_n(x + i, mul(load_n(x + i, lanes), set(factor)), lanes);
  }
}

static void add_values(Real* y, const Real* x, int64_t n) {
  for (int64_t i = 0; i < n; i += 16) {
    int lanes = n - i < 16 ? static_cast<int>(n - i) : 16;
    store_n(y + i, add(load_n(y + i, lanes), load_n(x + i, lanes)), lanes);
  }
}

static void round_values(const Real* x, uint16_t* y, int64_t n) {
  for (int64_t i = 0; i < n; i += 16) {
    int lanes = n - i < 16 ? static_cast<int>(n - i) : 16;
    store_bf16_n(y + i, load_n(x + i, lanes), lanes);
  }
}

static void widen_values(const uint16_t* x, Real* y, int64_t n) {
  for (int64_t i = 0; i < n; i += 16) {
    int lanes = n - i < 16 ? static_cast<int>(n - i) : 16;
    store_n(y + i, load_bf16_n(x + i, lanes), lanes);
  }
}

static constexpr OptimKernels<Real> kOptim = {adamw,      adamw_bf16,   sum_squares, scale_values,
                                              add_values, round_values, widen_values};
