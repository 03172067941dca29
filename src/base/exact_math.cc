// SPDX-License-Identifier: Apache-2.0
// Range reduction and logarithms work on pairs of doubles (value = hi + lo, about 106 bits); the last polynomial is
// plain double with the pair's low part folded in. Products are split after Dekker, so no fma is needed.
#include "base/exact_math.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "base/error.h"

namespace unha::exact {

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kSmallest = std::numeric_limits<double>::min();
constexpr double kHalfPi[3] = {0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54, -0x1.f1976b7ed8fbcp-110};

struct Pair {
  double hi, lo;
};
constexpr Pair kLn2 = {0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56};

Pair two_sum(double a, double b) {
  double s = a + b;
  double t = s - a;
  return {s, (a - (s - t)) + (b - t)};
}
Pair quick_sum(double a, double b) {  // |a| >= |b|
  double s = a + b;
  return {s, b - (s - a)};
}
Pair halves(double a) {  // 26 bits each
  double t = a * 134217729.0;
  double hi = t - (t - a);
  return {hi, a - hi};
}
Pair two_product(double a, double b) {
  double p = a * b;
  Pair x = halves(a), y = halves(b);
  return {p, ((x.hi * y.hi - p) + x.hi * y.lo + x.lo * y.hi) + x.lo * y.lo};
}

Pair operator+(Pair a, Pair b) {
  Pair s = two_sum(a.hi, b.hi), t = two_sum(a.lo, b.lo);
  Pair u = quick_sum(s.hi, s.lo + t.hi);
  return quick_sum(u.hi, u.lo + t.lo);
}
Pair operator-(Pair a) { return {-a.hi, -a.lo}; }
Pair operator*(Pair a, Pair b) {
  Pair p = two_product(a.hi, b.hi);
  return quick_sum(p.hi, p.lo + (a.hi * b.lo + a.lo * b.hi));
}
Pair operator/(Pair a, Pair b) {
  double q0 = a.hi / b.hi;
  Pair rest = a + -(b * Pair{q0, 0});
  double q1 = rest.hi / b.hi;
  rest = rest + -(b * Pair{q1, 0});
  Pair q = quick_sum(q0, q1);
  return q + Pair{rest.hi / b.hi, 0};
}

double scale(double x, int n) {  // x * 2^n for |n| <= 2100, in steps that stay normal
  while (n > 1000) {
    x *= 0x1p1000;
    n -= 1000;
  }
  while (n < -1000) {
    x *= 0x1p-1000;
    n += 1000;
  }
  return x * std::bit_cast<double>(static_cast<uint64_t>(n + 1023) << 52);
}

double nearest(double x) {  // for |x| < 2^51: ties to even
  constexpr double kMagic = 6755399441055744.0;
  return (x + kMagic) - kMagic;
}

// x - n * pi/2 as a pair, for n = the nearest integer to x / (pi/2). The six pieces are distilled by sweeps of exact
// sums: after three, cancellation can no longer hide a low part.
Pair reduce_angle(double x, int64_t* quadrant) {
  double n = nearest(x * 0x1.45f306dc9c883p-1);
  *quadrant = static_cast<int64_t>(n);
  Pair p0 = two_product(n, kHalfPi[0]), p1 = two_product(n, kHalfPi[1]), p2 = two_product(n, kHalfPi[2]);
  double t[7] = {-p2.lo, -p2.hi, -p1.lo, -p1.hi, -p0.lo, -p0.hi, x};
  for (int sweep = 0; sweep < 3; ++sweep) {
    for (int i = 0; i < 6; ++i) {
      Pair s = two_sum(t[i + 1], t[i]);
      t[i + 1] = s.hi;
      t[i] = s.lo;
    }
  }
  return quick_sum(t[6], t[5] + t[4]);
}

// 1/n! with alternating signs, from the highest used.
double series(double z, int first, int last) {  // sum over n = first, first + 2, ... last of +-z^((n - first) / 2) / n!
  double sum = 0;
  for (int n = last; n >= first; n -= 2) {
    double factorial = 1;
    for (int i = 2; i <= n; ++i) factorial *= i;  // exact to 22!
    sum = sum * -z + 1 / factorial;
  }
  return sum;
}

double sin_small(Pair r) {  // |r| <= pi/4
  double z = r.hi * r.hi;
  double cube = -(r.hi * z) * series(z, 3, 19);
  return r.hi + (cube + r.lo * (1 - 0.5 * z));
}
double cos_small(Pair r) {
  double z = r.hi * r.hi;
  double half = 0.5 * z;
  double w = 1 - half;
  double z_low = two_product(r.hi, r.hi).lo;
  return w + (((1 - w) - half) + (z * z * series(z, 4, 20) - r.hi * r.lo - 0.5 * z_low));
}

double by_quadrant(double x, int64_t shift) {
  if (!(std::fabs(x) < kInf)) return kNan;
  UNHA_CHECK(std::fabs(x) <= kMaxAngle, "angle {}", x);
  int64_t quadrant = 0;
  Pair r = reduce_angle(x, &quadrant);
  quadrant = (quadrant + shift) & 3;
  double y = quadrant % 2 == 0 ? sin_small(r) : cos_small(r);
  return quadrant < 2 ? y : -y;
}

// e^(hi + lo), |hi| < 2^51.
double exp_pair(Pair x) {
  if (x.hi > 710) return kInf;
  if (x.hi < -746) return 0;
  double n = nearest(x.hi * 0x1.71547652b82fep+0);
  Pair r = x + -(kLn2 * Pair{n, 0});
  double sum = 0;  // (e^r - 1 - r) / r^2
  for (int k = 14; k >= 2; --k) {
    double factorial = 1;
    for (int i = 2; i <= k; ++i) factorial *= i;
    sum = sum * r.hi + 1 / factorial;
  }
  double tail = r.hi * r.hi * sum + r.lo * (1 + r.hi);
  Pair y = quick_sum(1, r.hi);
  double result = scale(y.hi + (y.lo + tail), static_cast<int>(n));
  return result < kSmallest ? 0 : result;
}

// ln x as a pair for positive normal finite x: 2 atanh(s), s = (m - 1) / (m + 1), m in [sqrt(1/2), sqrt(2)).
Pair log_pair(double x) {
  auto bits = std::bit_cast<uint64_t>(x);
  int exponent = static_cast<int>(bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & 0x000fffffffffffffu) | 0x3ff0000000000000u);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++exponent;
  }
  Pair s = Pair{m - 1, 0} / two_sum(m, 1);
  Pair z = s * s;
  Pair sum = {0, 0};
  for (int k = 47; k >= 1; k -= 2) sum = sum * z + Pair{1, 0} / Pair{static_cast<double>(k), 0};
  Pair twice = {2 * s.hi, 2 * s.lo};
  return kLn2 * Pair{static_cast<double>(exponent), 0} + twice * sum;
}

}  // namespace

double sin(double x) { return x == 0 ? x : by_quadrant(x, 0); }
double cos(double x) { return by_quadrant(x, 1); }

double exp(double x) {
  if (x != x) return x;
  if (x > 710) return kInf;
  if (x < -746) return 0;
  return exp_pair({x, 0});
}

double log(double x) {
  if (x != x || x == kInf) return x;
  if (x <= -kSmallest) return kNan;
  if (x < kSmallest) return -kInf;
  return log_pair(x).hi;
}

double pow(double base, double exponent) {
  if (!(base >= kSmallest && base < kInf) || !(std::fabs(exponent) < kInf)) return kNan;
  if (exponent == 0 || base == 1) return 1;
  Pair l = log_pair(base);
  double estimate = l.hi * exponent;
  if (estimate > 800) return kInf;
  if (estimate < -800) return 0;
  return exp_pair(l * Pair{exponent, 0});
}

}  // namespace unha::exact
