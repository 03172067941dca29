// SPDX-License-Identifier: Apache-2.0
// Slices of work that reach the limits of the machine. Included inside a tier's namespace, after simd.

// Chains that hide the latency without leaving the registers.
#if defined(UNHA_TIER_LANES) && UNHA_TIER_LANES == 16
static constexpr int kPeakChains = 12;
#elif defined(UNHA_TIER_LANES)
static constexpr int kPeakChains = 6;
#else
static constexpr int kPeakChains = 2;
#endif

static double peak_fma(int64_t rounds, double* keep) {
  Vec acc[kPeakChains];
  for (int i = 0; i < kPeakChains; ++i) acc[i] = set(static_cast<Real>(1 + i));
  Vec a = set(Real(0.999)), b = set(Real(0.001));
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (int i = 0; i < kPeakChains; ++i) acc[i] = fma(acc[i], a, b);
  }
  Vec sum = acc[0];
  for (int i = 1; i < kPeakChains; ++i) sum = add(sum, acc[i]);
  *keep = static_cast<double>(reduce_add(sum));
  return static_cast<double>(rounds) * kPeakChains * 16 * 2;
}

#ifdef UNHA_TIER_BF16_DOT
static double peak_dot_bf16(int64_t rounds, double* keep) {
  Vec acc[kPeakChains];
  for (int i = 0; i < kPeakChains; ++i) acc[i] = set(static_cast<Real>(i));
  __m512bh a = _mm512_cvtne2ps_pbh(set(0.5f), set(-0.25f)), b = _mm512_cvtne2ps_pbh(set(0.125f), set(0.75f));
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (int i = 0; i < kPeakChains; ++i) acc[i] = _mm512_dpbf16_ps(acc[i], a, b);
  }
  Vec sum = acc[0];
  for (int i = 1; i < kPeakChains; ++i) sum = add(sum, acc[i]);
  *keep = static_cast<double>(reduce_add(sum));
  return static_cast<double>(rounds) * kPeakChains * 16 * 4;
}
#endif

static Real peak_read(const Real* x, int64_t n) {
  Vec acc[4] = {zero(), zero(), zero(), zero()};
  int64_t i = 0;
  for (; i + 64 <= n; i += 64) {
    for (int j = 0; j < 4; ++j) acc[j] = max(acc[j], load(x + i + 16 * j));
  }
  return reduce_max(max(max(acc[0], acc[1]), max(acc[2], acc[3])));
}

#ifdef UNHA_TIER_BF16_DOT
static constexpr PeakKernels<Real> kPeak = {peak_fma, peak_dot_bf16, peak_read};
#else
static constexpr PeakKernels<Real> kPeak = {peak_fma, nullptr, peak_read};
#endif
