// SPDX-License-Identifier: Apache-2.0
// The kernels of one tier. Included inside its namespace after `Real`, `kIsa` and the 16-lane vector are there.

// The order matters.
// clang-format off
#include "kernels/math.inl"
#include "kernels/gemm.inl"
#include "kernels/rows.inl"
#include "kernels/attend.inl"
#include "kernels/moe.inl"
#include "kernels/loss.inl"
#include "kernels/engram.inl"
#include "kernels/index.inl"
#include "kernels/optim.inl"
#include "kernels/peak.inl"
// clang-format on

const Kernels<Real>& table() {
  static constexpr Kernels<Real> kTable = {kIsa,  kGemmF32, kGemmBF16x2, kRows,  kAttend, kMoe,
                                           kLoss, kEngram,  kIndex,      kOptim, kMath,   kPeak};
  return kTable;
}
