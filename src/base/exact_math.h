// SPDX-License-Identifier: Apache-2.0
// Elementary functions in double from + - * / and sqrt alone, so that tables computed once (rotary angles) are the
// same bytes on every machine and with every libm (numerics.md section 4). Relative error below 1e-15. Not fast.
#pragma once

namespace unha::exact {

inline constexpr double kMaxAngle = 1 << 30;

double sin(double x);  // |x| <= kMaxAngle (a check)
double cos(double x);
double exp(double x);  // results below the smallest normal number are 0
double log(double x);  // 0 and denormals: -inf; negative: NaN
// base > 0 and finite, finite exponent; otherwise NaN. pow(b, 0) = 1.
double pow(double base, double exponent);

}  // namespace unha::exact
