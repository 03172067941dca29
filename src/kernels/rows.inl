// SPDX-License-Identifier: Apache-2.0
// Small ops along rows. Included inside a tier's namespace, after simd and math.

// Lanes j.. of a row of n: whole vectors, then what is left.
static inline Vec row_load(const Real* p, int64_t j, int64_t n) {
  return n - j >= 16 ? load(p + j) : load_n(p + j, static_cast<int>(n - j));
}
static inline void row_store(Real* p, Vec v, int64_t j, int64_t n) {
  if (n - j >= 16) {
    store(p + j, v);
  } else {
    store_n(p + j, v, static_cast<int>(n - j));
  }
}
static inline Real first_lane(Vec v) {
  Real x;
  store_n(&x, v, 1);
  return x;
}

static Real row_rms_norm(const Real* x, const Real* w, int64_t n, Real eps, Real* y) {
  Vec squares = zero();
  for (int64_t j = 0; j < n; j += 16) {
    Vec v = row_load(x, j, n);
    squares = fma(v, v, squares);
  }
  Real mean = reduce_add(squares) / static_cast<Real>(n);
  Vec inv = div(set(Real{1}), sqrt(set(mean + eps)));
  for (int64_t j = 0; j < n; j += 16) row_store(y, mul(row_load(w, j, n), mul(row_load(x, j, n), inv)), j, n);
  return first_lane(inv);
}

static void row_rms_norm_back(const Real* x, const Real* w, const Real* d_y, int64_t n, Real inv, Real* d_x) {
  Vec dot = zero();
  for (int64_t j = 0; j < n; j += 16) {
    dot = fma(mul(row_load(w, j, n), row_load(d_y, j, n)), row_load(x, j, n), dot);
  }
  Vec r = set(inv);
  Vec c = set(-(inv * inv * inv * (reduce_add(dot) / static_cast<Real>(n))));
  for (int64_t j = 0; j < n; j += 16) {
    Vec straight = mul(mul(row_load(w, j, n), row_load(d_y, j, n)), r);
    row_store(d_x, add(row_load(d_x, j, n), fma(row_load(x, j, n), c, straight)), j, n);
  }
}

static void row_rms_norm_weight_back(const Real* x, int64_t x_stride, const Real* d_y, int64_t d_y_stride,
                                     const Real* inv, int64_t rows, int64_t cols, Real* d_w) {
  int64_t j = 0;
  for (; j + 64 <= cols; j += 64) {
    Vec a = zero(), b = zero(), c = zero(), d = zero();
    for (int64_t i = 0; i < rows; ++i) {
      const Real* xi = x + i * x_stride + j;
      const Real* di = d_y + i * d_y_stride + j;
      Vec r = set(inv[i]);
      a = fma(load(di), mul(load(xi), r), a);
      b = fma(load(di + 16), mul(load(xi + 16), r), b);
      c = fma(load(di + 32), mul(load(xi + 32), r), c);
      d = fma(load(di + 48), mul(load(xi + 48), r), d);
    }
    store(d_w + j, add(load(d_w + j), a));
    store(d_w + j + 16, add(load(d_w + j + 16), b));
    store(d_w + j + 32, add(load(d_w + j + 32), c));
    store(d_w + j + 48, add(load(d_w + j + 48), d));
  }
  for (; j < cols; j += 16) {
    Vec a = zero();
    for (int64_t i = 0; i < rows; ++i) {
      a = fma(row_load(d_y + i * d_y_stride, j, cols), mul(row_load(x + i * x_stride, j, cols), set(inv[i])), a);
    }
    row_store(d_w, add(row_load(d_w, j, cols), a), j, cols);
  }
}

static void row_swiglu(const Real* gate, const Real* up, int64_t n, Real* y) {
  for (int64_t j = 0; j < n; j += 16) row_store(y, mul(silu(row_load(gate, j, n)), row_load(up, j, n)), j, n);
}

// d silu(g) / d g = s (1 + g (1 - s)), s = sigmoid(g)
static inline Vec silu_slope(Vec g, Vec s) { return mul(s, fma(g, sub(set(Real{1}), s), set(Real{1}))); }

static void row_swiglu_back(const Real* gate, const Real* up, const Real* d_y, int64_t n, Real* d_gate, Real* d_up) {
  for (int64_t j = 0; j < n; j += 16) {
    Vec g = row_load(gate, j, n), u = row_load(up, j, n), d = row_load(d_y, j, n);
    Vec s = sigmoid(g);
    if (d_up != nullptr) row_store(d_up, add(row_load(d_up, j, n), mul(d, mul(g, s))), j, n);
    if (d_gate != nullptr) row_store(d_gate, add(row_load(d_gate, j, n), mul(mul(d, u), silu_slope(g, s))), j, n);
  }
}

static void row_add(const Real* a, const Real* b, int64_t n, Real* y) {
  for (int64_t j = 0; j < n; j += 16) row_store(y, add(row_load(a, j, n), row_load(b, j, n)), j, n);
}
static void row_accumulate(const Real* x, int64_t n, Real* y) { row_add(y, x, n, y); }
static void row_widen_bf16(const uint16_t* x, int64_t n, Real* y) {
  for (int64_t j = 0; j < n; j += 16) {
    row_store(y, n - j >= 16 ? load_bf16(x + j) : load_bf16_n(x + j, static_cast<int>(n - j)), j, n);
  }
}
static Real row_sum(const Real* x, int64_t n) {
  Vec sum = zero();
  for (int64_t j = 0; j < n; j += 16) sum = add(sum, row_load(x, j, n));
  return reduce_add(sum);
}
static void row_gather_sum(const Real* x, int64_t stride, const int32_t* index, int64_t count, int64_t n, Real* y) {
  for (int64_t j = 0; j < n; j += 16) {
    Vec sum = zero();
    for (int64_t i = 0; i < count; ++i) sum = add(sum, row_load(x + index[i] * stride, j, n));
    row_store(y, add(row_load(y, j, n), sum), j, n);
  }
}

static constexpr RowsKernels<Real> kRows = {
    row_rms_norm, row_rms_norm_back, row_rms_norm_weight_back, row_swiglu, row_swiglu_back,
    row_add,      row_accumulate,    row_widen_bf16,           row_sum,    row_gather_sum};
