// SPDX-License-Identifier: Apache-2.0
// Cross entropy. Included inside a tier's namespace, after moe.inl.

static Real loss_cross_entropy(Real* z, int64_t n, int64_t target, bool gradient, Real scale) {
  Real top = row_max(z, n);
  Real wanted = z[target];
  Real total = row_exp_sum(z, top, n, z);
  Real nll = (top - wanted) + first_lane(log(set(total)));
  if (gradient) {
    Vec factor = set(scale / total);
    for (int64_t j = 0; j < n; j += 16) row_store(z, mul(row_load(z, j, n), factor), j, n);
    z[target] = z[target] - scale;
  }
  return nll;
}

static constexpr LossKernels<Real> kLoss = {loss_cross_entropy};
