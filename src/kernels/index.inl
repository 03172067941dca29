// SPDX-License-Identifier: Apache-2.0
// The indexer's rows. Included inside a tier's namespace, after rows.inl and attend.inl.

static void index_layer_norm(const Real* x, const Real* w, const Real* b, int64_t n, Real eps, Real* y) {
  Vec mean = set(row_sum(x, n) / static_cast<Real>(n));
  Vec squares = zero();
  for (int64_t j = 0; j < n; j += 16) {
    Vec d = sub(row_load(x, j, n), mean);
    if (n - j < 16) d = select(first_lanes(n - j), d, zero());
    squares = fma(d, d, squares);
  }
  Vec inv = div(set(Real{1}), sqrt(set(reduce_add(squares) / static_cast<Real>(n) + eps)));
  for (int64_t j = 0; j < n; j += 16) {
    Vec d = mul(sub(row_load(x, j, n), mean), inv);
    row_store(y, fma(d, row_load(w, j, n), row_load(b, j, n)), j, n);
  }
}

static void index_mix_heads(const Real* scores, int64_t stride, const Real* weights, int64_t heads, int64_t n,
                            Real* out) {
  for (int64_t j = 0; j < n; j += 16) {
    Vec acc = zero();
    for (int64_t h = 0; h < heads; ++h) {
      // A NaN stays one: max() takes its second operand then.
      acc = fma(set(weights[h]), max(zero(), row_load(scores + h * stride, j, n)), acc);
    }
    row_store(out, acc, j, n);
  }
}

static constexpr IndexKernels<Real> kIndex = {index_layer_norm, index_mix_heads};
