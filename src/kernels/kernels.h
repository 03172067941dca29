// SPDX-License-Identifier: Apache-2.0
// All kernels of one tier as a table of functions, chosen once at run time. Each group has its header (shapes and
// rounding) and one source, the .inl, which every tier compiles: the scalar twin, AVX2, AVX-512, AVX-512 with BF16,
// and, in double, the test-only class f64. So scalar == SIMD holds by construction and is tested with ==.
#pragma once

#include "kernels/attend.h"
#include "kernels/engram.h"
#include "kernels/gemm.h"
#include "kernels/index.h"
#include "kernels/isa.h"
#include "kernels/loss.h"
#include "kernels/math.h"
#include "kernels/moe.h"
#include "kernels/optim.h"
#include "kernels/peak.h"
#include "kernels/rows.h"

namespace unha::kernels {

template <class R>
struct Kernels {
  Isa isa;
  GemmKernels<R> gemm_f32;
  GemmKernels<R> gemm_bf16x2;
  RowsKernels<R> rows;
  AttendKernels<R> attend;
  MoeKernels<R> moe;
  LossKernels<R> loss;
  EngramKernels<R> engram;
  IndexKernels<R> index;
  OptimKernels<R> optim;
  MathKernels<R> math;
  PeakKernels<R> peak;

  const GemmKernels<R>& gemm(Numerics numerics) const {
    return numerics == Numerics::kBF16x2 ? gemm_bf16x2 : gemm_f32;
  }
};

// The table of the best tier up to `isa`. Error(kUsage) that lists the machine's tiers if it lacks `isa`.
const Kernels<float>& kernels_for(Isa isa);
const Kernels<double>& kernels_f64();

}  // namespace unha::kernels
