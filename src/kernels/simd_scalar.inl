// SPDX-License-Identifier: Apache-2.0
// The 16-lane vector as plain loops. `Real` is float (the scalar twin of the SIMD tiers: fma is std::fma) or double
// (the test-only class f64: nothing there needs a fused operation). Included inside a tier's namespace.

struct Vec {
  Real v[16];
};
struct Mask {
  bool m[16];
};

#define UNHA_LANES(expr)                                \
  Vec r;                                                \
  for (int i = 0; i < 16; ++i) r.v[i] = (expr);         \
  return r
#define UNHA_LANES_MASK(expr)                           \
  Mask r;                                               \
  for (int i = 0; i < 16; ++i) r.m[i] = (expr);         \
  return r

static inline Vec set(Real x) { UNHA_LANES(x); }
static inline Vec zero() { return set(Real{0}); }
static inline Vec load(const Real* p) { UNHA_LANES(p[i]); }
static inline Vec load_n(const Real* p, int n) { UNHA_LANES(i < n ? p[i] : Real{0}); }
static inline void store(Real* p, Vec a) {
  for (int i = 0; i < 16; ++i) p[i] = a.v[i];
}
static inline void store_n(Real* p, Vec a, int n) {
  for (int i = 0; i < n; ++i) p[i] = a.v[i];
}
static inline Vec load_bf16(const uint16_t* p) { UNHA_LANES(static_cast<Real>(bf16_to_f32(p[i]))); }
static inline Vec load_bf16_n(const uint16_t* p, int n) {
  UNHA_LANES(i < n ? static_cast<Real>(bf16_to_f32(p[i])) : Real{0});
}
static inline void store_bf16(uint16_t* p, Vec a) {
  for (int i = 0; i < 16; ++i) p[i] = f32_to_bf16(static_cast<float>(a.v[i]));
}
static inline void store_bf16_n(uint16_t* p, Vec a, int n) {
  for (int i = 0; i < n; ++i) p[i] = f32_to_bf16(static_cast<float>(a.v[i]));
}

static inline Vec add(Vec a, Vec b) { UNHA_LANES(a.v[i] + b.v[i]); }
static inline Vec sub(Vec a, Vec b) { UNHA_LANES(a.v[i] - b.v[i]); }
static inline Vec mul(Vec a, Vec b) { UNHA_LANES(a.v[i] * b.v[i]); }
static inline Vec div(Vec a, Vec b) { UNHA_LANES(a.v[i] / b.v[i]); }
static inline Vec sqrt(Vec a) { UNHA_LANES(std::sqrt(a.v[i])); }
static inline Real fma1(Real a, Real b, Real c) {
  if constexpr (sizeof(Real) == 4) {
    return std::fma(a, b, c);
  } else {
    return a * b + c;
  }
}
static inline Vec fma(Vec a, Vec b, Vec c) { UNHA_LANES(fma1(a.v[i], b.v[i], c.v[i])); }
// As MINPS and MAXPS: the second operand if either is NaN.
static inline Vec min(Vec a, Vec b) { UNHA_LANES(a.v[i] < b.v[i] ? a.v[i] : b.v[i]); }
static inline Vec max(Vec a, Vec b) { UNHA_LANES(a.v[i] > b.v[i] ? a.v[i] : b.v[i]); }
static inline Vec neg(Vec a) { UNHA_LANES(-a.v[i]); }
static inline Vec abs(Vec a) { UNHA_LANES(std::fabs(a.v[i])); }
static inline Vec round_even(Vec a) { UNHA_LANES(std::nearbyint(a.v[i])); }

static inline Mask lt(Vec a, Vec b) { UNHA_LANES_MASK(a.v[i] < b.v[i]); }
static inline Mask gt(Vec a, Vec b) { UNHA_LANES_MASK(a.v[i] > b.v[i]); }
static inline Mask eq(Vec a, Vec b) { UNHA_LANES_MASK(a.v[i] == b.v[i]); }
static inline Vec select(Mask m, Vec yes, Vec no) { UNHA_LANES(m.m[i] ? yes.v[i] : no.v[i]); }

// Lanes folded 8, 4, 2, 1 (numerics.md section 2).
static inline Real reduce_add(Vec a) {
  for (int w = 8; w >= 1; w /= 2) {
    for (int i = 0; i < w; ++i) a.v[i] = a.v[i] + a.v[i + w];
  }
  return a.v[0];
}
static inline Real reduce_max(Vec a) {
  for (int w = 8; w >= 1; w /= 2) {
    for (int i = 0; i < w; ++i) a.v[i] = a.v[i] > a.v[i + w] ? a.v[i] : a.v[i + w];
  }
  return a.v[0];
}

// 2^n for integral n within the normal range of float, exact.
static inline Vec exp2_integer(Vec n) {
  if constexpr (sizeof(Real) == 4) {
    UNHA_LANES(static_cast<Real>(std::bit_cast<float>((static_cast<int32_t>(n.v[i]) + 127) << 23)));
  } else {
    UNHA_LANES(std::ldexp(Real{1}, static_cast<int>(n.v[i])));
  }
}
// x = m * 2^e with m in [1, 2), for positive normal x (float only).
static inline void split_exponent(Vec x, Vec* m, Vec* e) {
  for (int i = 0; i < 16; ++i) {
    auto bits = std::bit_cast<uint32_t>(static_cast<float>(x.v[i]));
    e->v[i] = static_cast<Real>(static_cast<int32_t>(bits >> 23) - 127);
    m->v[i] = static_cast<Real>(std::bit_cast<float>((bits & 0x007fffffu) | 0x3f800000u));
  }
}
#undef UNHA_LANES
#undef UNHA_LANES_MASK
