// SPDX-License-Identifier: Apache-2.0
// Elementary functions on arrays, and the 16-lane vector's primitives one by one for tests. Inside other kernels the
// functions of math.inl are used directly.
//
// At most 2 ulp over the whole range of float; NaN gives NaN; denormal inputs count as zero, denormal results are zero.
#pragma once

#include <cstdint>

namespace unha::kernels {

// A primitive of the 16-lane vector (simd_*.inl), for MathKernels::probe.
enum class Primitive {
  kCopy,  // load_n, store_n
  kAdd,
  kSub,
  kMul,
  kDiv,
  kSqrt,
  kFma,
  kMin,
  kMax,
  kNeg,
  kAbs,
  kRoundEven,
  kSelectLess,     // a < b ? c : a
  kSelectGreater,  // a > b ? c : a
  kSelectEqual,    // a == b ? c : a
  kReduceAdd,      // to out[0]
  kReduceMax,      // to out[0]
  kRoundBf16,      // store_bf16_n, then load_bf16_n
  kExp2Integer,
  kMantissa,  // split_exponent
  kExponent,
  kCount,
};

template <class R>
struct MathKernels {
  // y[i] = f(x[i]), i < n; y may be x.
  void (*exp)(const R* x, R* y, int64_t n);
  void (*log)(const R* x, R* y, int64_t n);       // 0: -inf; negative: NaN
  void (*sigmoid)(const R* x, R* y, int64_t n);   // 1 / (1 + e^-x)
  void (*silu)(const R* x, R* y, int64_t n);      // x sigmoid(x); -inf: -0
  void (*softplus)(const R* x, R* y, int64_t n);  // ln(1 + e^x)
  void (*tanh)(const R* x, R* y, int64_t n);
  // out[i] = the primitive of a[i], b[i], c[i] for i < n <= 16; nothing beyond n is read or written.
  void (*probe)(Primitive what, const R* a, const R* b, const R* c, int n, R* out);
};

}  // namespace unha::kernels
