// SPDX-License-Identifier: Apache-2.0
// Router and expert rows. Included inside a tier's namespace, after rows.inl.

static void moe_sigmoid(const Real* z, int64_t n, Real* s) {
  for (int64_t j = 0; j < n; j += 16) row_store(s, sigmoid(row_load(z, j, n)), j, n);
}
static void moe_sigmoid_back(const Real* s, const Real* d_s, int64_t n, Real* d_z) {
  for (int64_t j = 0; j < n; j += 16) {
    Vec v = row_load(s, j, n);
    Vec slope = mul(v, sub(set(Real{1}), v));
    row_store(d_z, add(row_load(d_z, j, n), mul(row_load(d_s, j, n), slope)), j, n);
  }
}

// max(x) over a row; a NaN may or may not win, and shows in the sum in any case.
static Real row_max(const Real* x, int64_t n) {
  Vec top = set(-std::numeric_limits<Real>::infinity());
  int64_t j = 0;
  for (; j + 16 <= n; j += 16) top = max(top, load(x + j));
  Real best = reduce_max(top);
  for (; j < n; ++j) best = x[j] > best ? x[j] : best;
  return best;
}
// e[i] = exp(x[i] - top); returns their sum. x may be e.
static Real row_exp_sum(const Real* x, Real top, int64_t n, Real* e) {
  Vec sum = zero();
  Vec shift = set(top);
  int64_t j = 0;
  for (; j + 16 <= n; j += 16) {
    Vec v = exp(sub(load(x + j), shift));
    store(e + j, v);
    sum = add(sum, v);
  }
  if (j < n) {  // lanes beyond the row add zero
    auto rest = static_cast<int>(n - j);
    store_n(e + j, exp(sub(load_n(x + j, rest), shift)), rest);
    sum = add(sum, load_n(e + j, rest));
  }
  return reduce_add(sum);
}

static void moe_softmax(const Real* z, int64_t n, Real* s) {
  Vec total = set(row_exp_sum(z, row_max(z, n), n, s));
  for (int64_t j = 0; j < n; j += 16) row_store(s, div(row_load(s, j, n), total), j, n);
}
static void moe_softmax_back(const Real* s, const Real* d_s, int64_t n, Real* d_z) {
  Vec dot = zero();
  for (int64_t j = 0; j < n; j += 16) dot = fma(row_load(s, j, n), row_load(d_s, j, n), dot);
  Vec mean = set(reduce_add(dot));
  for (int64_t j = 0; j < n; j += 16) {
    Vec d = mul(row_load(s, j, n), sub(row_load(d_s, j, n), mean));
    row_store(d_z, add(row_load(d_z, j, n), d), j, n);
  }
}

static void moe_top_k(Real* scores, int64_t n, int64_t k, int32_t* ids) {
  constexpr Real kTaken = -std::numeric_limits<Real>::infinity();
  for (int64_t held = 0; held < k; ++held) {
    Real best = row_max(scores, n);
    int64_t at = 0;
    while (at < n && !(scores[at] == best)) ++at;
    if (at == n || best == kTaken) {  // NaNs, or nothing left but what is shut out: the lowest index not yet taken
      at = 0;
      for (int64_t j = 0; j < held && ids[j] == at; ++j) ++at;
    }
    scores[at] = kTaken;
    int64_t j = held;
    for (; j > 0 && ids[j - 1] > at; --j) ids[j] = ids[j - 1];
    ids[j] = static_cast<int32_t>(at);
  }
}

static void moe_gates(const Real* s, const int32_t* ids, int64_t count, bool normalise, Real scale, Real* g) {
  for (int64_t i = 0; i < count; ++i) g[i] = s[ids[i]];
  Real total = normalise ? row_sum(g, count) + static_cast<Real>(1e-20) : Real{1};
  for (int64_t i = 0; i < count; ++i) g[i] = (normalise ? g[i] / total : g[i]) * scale;
}
// With G the sum: d_s[j] += scale / G * (d_g[j] - sum_i(d_g[i] s[i]) / G).
static void moe_gates_back(const Real* s, const int32_t* ids, int64_t count, bool normalise, Real scale,
                           const Real* d_g, Real* d_s) {
  Real mean = 0;
  Real factor = scale;
  if (normalise) {
    Real chosen[64], products[64];
    for (int64_t i = 0; i < count; ++i) {
      chosen[i] = s[ids[i]];
      products[i] = d_g[i] * chosen[i];
    }
    Real total = row_sum(chosen, count) + static_cast<Real>(1e-20);
    mean = row_sum(products, count) / total;
    factor = scale / total;
  }
  for (int64_t i = 0; i < count; ++i) d_s[ids[i]] = d_s[ids[i]] + factor * (d_g[i] - mean);
}

static void moe_combine(const Real* const* rows, const Real* weights, int64_t count, const Real* shared, int64_t n,
                        Real* y) {
  for (int64_t j = 0; j < n; j += 16) {
    Vec acc = zero();
    for (int64_t i = 0; i < count; ++i) acc = fma(set(weights[i]), row_load(rows[i], j, n), acc);
    if (shared != nullptr) acc = add(acc, row_load(shared, j, n));
    row_store(y, acc, j, n);
  }
}
static void moe_combine_back(const Real* const* rows, int64_t count, int64_t n, Real* d) {
  for (int64_t j = 0; j < n; j += 16) {
    Vec acc = zero();
    for (int64_t i = 0; i < count; ++i) acc = add(acc, row_load(rows[i], j, n));
    row_store(d, add(row_load(d, j, n), acc), j, n);
  }
}

static Real moe_expert_back(const Real* d_h, Real weight, int64_t n, Real* gate, Real* up, Real* weighted_h) {
  Vec dot = zero();
  Vec w = set(weight);
  for (int64_t j = 0; j < n; j += 16) {
    Vec g = row_load(gate, j, n), u = row_load(up, j, n), d = row_load(d_h, j, n);
    Vec s = sigmoid(g);
    Vec a = mul(g, s);
    Vec h = mul(a, u);
    dot = fma(d, h, dot);
    d = mul(d, w);
    row_store(weighted_h, mul(h, w), j, n);
    row_store(gate, mul(mul(d, u), silu_slope(g, s)), j, n);
    row_store(up, mul(d, a), j, n);
  }
  return reduce_add(dot);
}

static void moe_share(const Real* s, int64_t n, Real* p) {
  Vec total = set(row_sum(s, n) + static_cast<Real>(1e-20));
  for (int64_t j = 0; j < n; j += 16) row_store(p, add(row_load(p, j, n), div(row_load(s, j, n), total)), j, n);
}
// p = s / S: d_s[j] += scale / S * (f[j] - sum_i f[i] s[i] / S)
static void moe_share_back(const Real* s, const Real* f, Real scale, int64_t n, Real* d_s) {
  Real total = row_sum(s, n) + static_cast<Real>(1e-20);
  Vec dot = zero();
  for (int64_t j = 0; j < n; j += 16) dot = fma(row_load(f, j, n), row_load(s, j, n), dot);
  Vec mean = set(reduce_add(dot) / total);
  Vec factor = set(scale / total);
  for (int64_t j = 0; j < n; j += 16) {
    Vec d = mul(factor, sub(row_load(f, j, n), mean));
    row_store(d_s, add(row_load(d_s, j, n), d), j, n);
  }
}

static constexpr MoeKernels<Real> kMoe = {moe_sigmoid,      moe_sigmoid_back, moe_softmax,    moe_softmax_back,
                                          moe_top_k,        moe_gates,        moe_gates_back, moe_combine,
                                          moe_combine_back, moe_expert_back,  moe_share,      moe_share_back};
