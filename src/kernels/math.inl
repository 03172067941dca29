// SPDX-License-Identifier: Apache-2.0
// Elementary functions on 16 lanes: one range reduction and one polynomial, the same FMA sequence on every tier, so
// that libm never enters a result. In the f64 tier they are the standard library's. Included inside a tier's namespace.

#ifdef UNHA_TIER_F64

#define UNHA_STD(expr)                          \
  Vec r;                                        \
  for (int i = 0; i < 16; ++i) r.v[i] = (expr); \
  return r
static inline Vec exp(Vec x) { UNHA_STD(std::exp(x.v[i])); }
static inline Vec log(Vec x) { UNHA_STD(std::log(x.v[i])); }
static inline Vec sigmoid(Vec x) { UNHA_STD(1 / (1 + std::exp(-x.v[i]))); }
static inline Vec silu(Vec x) { UNHA_STD(x.v[i] / (1 + std::exp(-x.v[i]))); }
#undef UNHA_STD

#else

// e^x. x = n ln 2 + r with |r| <= ln 2 / 2; e^r by its series to degree 7. Below the smallest normal: 0.
static inline Vec exp(Vec x) {
  Vec clamped = min(max(x, set(-104.0f)), set(89.0f));
  Vec n = round_even(mul(clamped, set(1.44269504f)));
  Vec r = fma(n, set(-0.693359375f), clamped);
  r = fma(n, set(2.12194440e-4f), r);
  Vec p = set(1.98412698e-4f);
  p = fma(p, r, set(1.38888889e-3f));
  p = fma(p, r, set(8.33333333e-3f));
  p = fma(p, r, set(4.16666667e-2f));
  p = fma(p, r, set(1.66666667e-1f));
  p = fma(p, r, set(0.5f));
  p = fma(p, r, set(1.0f));
  p = fma(p, r, set(1.0f));
  // 2^n in two steps: n reaches 128 and, below the normal range, -150.
  Vec half = round_even(mul(n, set(0.5f)));
  Vec y = mul(mul(p, exp2_integer(half)), exp2_integer(sub(n, half)));
  return select(eq(x, x), y, x);
}

// ln x for normal positive x; 0 (and denormals) -> -inf, negative -> NaN, inf -> inf.
static inline Vec log(Vec x) {
  Vec m, e;
  split_exponent(x, &m, &e);
  // m in [sqrt(1/2), sqrt 2): fold the upper half down.
  Mask high = gt(m, set(1.41421356f));
  m = select(high, mul(m, set(0.5f)), m);
  e = select(high, add(e, set(1.0f)), e);
  // ln m = 2 atanh(s), s = (m - 1) / (m + 1)
  Vec f = sub(m, set(1.0f));
  Vec s = div(f, add(m, set(1.0f)));
  Vec z = mul(s, s);
  Vec p = set(0.15389500f);
  p = fma(p, z, set(0.18183580f));
  p = fma(p, z, set(0.22222198f));
  p = fma(p, z, set(0.28571429f));
  p = fma(p, z, set(0.4f));
  p = fma(p, z, set(0.66666667f));
  Vec tail = mul(mul(s, z), p);
  Vec y = fma(e, set(-2.12194440e-4f), tail);
  y = fma(s, set(2.0f), y);
  y = fma(e, set(0.693359375f), y);
  constexpr float kInf = std::numeric_limits<float>::infinity();
  y = select(lt(x, set(1.17549435e-38f)), set(-kInf), y);
  y = select(lt(x, zero()), set(std::numeric_limits<float>::quiet_NaN()), y);
  y = select(eq(x, set(kInf)), x, y);
  return select(eq(x, x), y, x);
}

static inline Vec sigmoid(Vec x) { return div(set(1.0f), add(set(1.0f), exp(neg(x)))); }
static inline Vec silu(Vec x) { return div(x, add(set(1.0f), exp(neg(x)))); }

#endif
