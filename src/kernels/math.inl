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
static inline Vec softplus(Vec x) { UNHA_STD((x.v[i] > 0 ? x.v[i] : 0) + std::log1p(std::exp(-std::fabs(x.v[i])))); }
static inline Vec tanh(Vec x) { UNHA_STD(std::tanh(x.v[i])); }
#undef UNHA_STD

#else

// e^x = p * 2^half * 2^rest. x = n ln 2 + r with |r| <= ln 2 / 2; p = e^r by its series to degree 7. 2^n goes in two
// steps: n reaches 128 and, below the normal range, -150.
struct ExpParts {
  Vec p, half, rest;
};
static inline ExpParts exp_parts(Vec x) {
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
  Vec half = round_even(mul(n, set(0.5f)));
  return {p, exp2_integer(half), exp2_integer(sub(n, half))};
}

// Below the smallest normal: 0.
static inline Vec exp(Vec x) {
  ExpParts e = exp_parts(x);
  return select(eq(x, x), mul(mul(e.p, e.half), e.rest), x);
}

// ln(1 + f) + e ln 2 for 1 + f in [sqrt(1/2), sqrt 2]. With s = f / (2 + f), ln(1 + f) = 2 atanh(s) = 2 s + s R(s^2)
// = f - (f^2 / 2 - s (f^2 / 2 + R)), where f leads without a rounding.
static inline Vec log_near_one(Vec f, Vec e) {
  Vec s = div(f, add(f, set(2.0f)));
  Vec z = mul(s, s);
  Vec p = set(0.18181818f);
  p = fma(p, z, set(0.22222222f));
  p = fma(p, z, set(0.28571429f));
  p = fma(p, z, set(0.4f));
  p = fma(p, z, set(0.66666667f));
  Vec square = mul(mul(f, set(0.5f)), f);
  Vec y = fma(s, fma(z, p, square), mul(e, set(-2.12194440e-4f)));
  y = add(f, sub(y, square));
  return fma(e, set(0.693359375f), y);
}

// ln x for normal positive x; 0 (and denormals) -> -inf, negative -> NaN, inf -> inf.
static inline Vec log(Vec x) {
  Vec m, e;
  split_exponent(x, &m, &e);
  // m in [sqrt(1/2), sqrt 2): fold the upper half down.
  Mask high = gt(m, set(1.41421356f));
  m = select(high, mul(m, set(0.5f)), m);
  e = select(high, add(e, set(1.0f)), e);
  Vec y = log_near_one(sub(m, set(1.0f)), e);
  constexpr float kInf = std::numeric_limits<float>::infinity();
  y = select(lt(x, set(1.17549435e-38f)), set(-kInf), y);
  y = select(lt(x, zero()), set(std::numeric_limits<float>::quiet_NaN()), y);
  y = select(eq(x, set(kInf)), x, y);
  return select(eq(x, x), y, x);
}

// 1 / (1 + t) or t / (1 + t), t = e^-|x|: closer than 1 / (1 + e^-x).
static inline Vec sigmoid(Vec x) {
  Vec t = exp(neg(abs(x)));
  return div(select(lt(x, zero()), t, set(1.0f)), add(set(1.0f), t));
}

// x / (1 + e^-x); below -80, where e^-x may overflow before the result vanishes, x e^x.
static inline Vec silu(Vec x) {
  Mask low = lt(x, set(-80.0f));
  ExpParts e = exp_parts(select(low, x, neg(x)));
  Vec direct = div(x, add(set(1.0f), mul(mul(e.p, e.half), e.rest)));
  Vec scaled = mul(mul(mul(e.p, x), e.half), e.rest);
  scaled = select(lt(x, set(-104.0f)), set(-0.0f), scaled);  // where exp_parts stops
  return select(low, scaled, direct);
}

// max(x, 0) + ln(1 + t), t = e^-|x|; from sqrt 2 on, 1 + t is halved and ln 2 added.
static inline Vec softplus(Vec x) {
  Vec t = exp(neg(abs(x)));
  Mask high = gt(t, set(0.41421356f));
  Vec f = select(high, fma(t, set(0.5f), set(-0.5f)), t);
  Vec y = add(select(gt(x, zero()), x, zero()), log_near_one(f, select(high, set(1.0f), zero())));
  y = select(lt(x, set(-20.0f)), t, y);  // where f^2 may vanish and t does not
  return select(eq(x, x), y, x);
}

// x + x^3 P(x^2) below 5/8 (P fitted there), 1 - 2 / (e^2|x| + 1) with the sign of x above.
static inline Vec tanh(Vec x) {
  Vec z = mul(x, x);
  Vec p = set(2.292557699e-3f);
  p = fma(p, z, set(-8.343780370e-3f));
  p = fma(p, z, set(2.176886821e-2f));
  p = fma(p, z, set(-5.395925338e-2f));
  p = fma(p, z, set(1.333330353e-1f));
  p = fma(p, z, set(-3.333333317e-1f));
  Vec small = fma(mul(x, z), p, x);
  Vec size = abs(x);
  Vec large = sub(set(1.0f), div(set(2.0f), add(exp(add(size, size)), set(1.0f))));
  large = select(lt(x, zero()), neg(large), large);
  return select(lt(size, set(0.625f)), small, large);
}

#endif

template <Vec (*F)(Vec)>
static void map_rows(const Real* x, Real* y, int64_t n) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) store(y + i, F(load(x + i)));
  if (i < n) store_n(y + i, F(load_n(x + i, static_cast<int>(n - i))), static_cast<int>(n - i));
}

static Vec probe_bf16(const Real* a, int n) {
  uint16_t rounded[16] = {};
  if (n == 16) {
    store_bf16(rounded, load(a));
    return load_bf16(rounded);
  }
  store_bf16_n(rounded, load_n(a, n), n);
  return load_bf16_n(rounded, n);
}

static void probe(Primitive what, const Real* a, const Real* b, const Real* c, int n, Real* out) {
  Vec x = load_n(a, n), y = load_n(b, n), z = load_n(c, n);
  Vec mantissa = x, exponent = x;
  switch (what) {
    case Primitive::kCopy:
      return n == 16 ? store(out, load(a)) : store_n(out, x, n);
    case Primitive::kAdd:
      return store_n(out, add(x, y), n);
    case Primitive::kSub:
      return store_n(out, sub(x, y), n);
    case Primitive::kMul:
      return store_n(out, mul(x, y), n);
    case Primitive::kDiv:
      return store_n(out, div(x, y), n);
    case Primitive::kSqrt:
      return store_n(out, sqrt(x), n);
    case Primitive::kFma:
      return store_n(out, fma(x, y, z), n);
    case Primitive::kMin:
      return store_n(out, min(x, y), n);
    case Primitive::kMax:
      return store_n(out, max(x, y), n);
    case Primitive::kNeg:
      return store_n(out, neg(x), n);
    case Primitive::kAbs:
      return store_n(out, abs(x), n);
    case Primitive::kRoundEven:
      return store_n(out, round_even(x), n);
    case Primitive::kSelectLess:
      return store_n(out, select(lt(x, y), z, x), n);
    case Primitive::kSelectGreater:
      return store_n(out, select(gt(x, y), z, x), n);
    case Primitive::kSelectEqual:
      return store_n(out, select(eq(x, y), z, x), n);
    case Primitive::kReduceAdd:
      out[0] = reduce_add(x);
      return;
    case Primitive::kReduceMax:
      out[0] = reduce_max(x);
      return;
    case Primitive::kRoundBf16:
      return store_n(out, probe_bf16(a, n), n);
    case Primitive::kExp2Integer:
      return store_n(out, exp2_integer(x), n);
    case Primitive::kMantissa:
      split_exponent(x, &mantissa, &exponent);
      return store_n(out, mantissa, n);
    case Primitive::kExponent:
      split_exponent(x, &mantissa, &exponent);
      return store_n(out, exponent, n);
    case Primitive::kCount:
      return;
  }
}

static constexpr MathKernels<Real> kMath = {
    map_rows<exp>, map_rows<log>, map_rows<sigmoid>, map_rows<silu>, map_rows<softplus>, map_rows<tanh>, probe};
