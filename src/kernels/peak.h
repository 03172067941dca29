// SPDX-License-Identifier: Apache-2.0
// What this machine can do at most, measured: figures are worth something only as a share of it. Short slices, the
// best of many, since neighbours and other programs take their part. GB and GFLOP are 10^9; a multiply-add is two.
#pragma once

#include <cstdint>
#include <vector>

#include "base/threads.h"
#include "kernels/isa.h"

namespace unha {

namespace kernels {
// One slice of work on one thread, compiled for a tier; a peak that the tier lacks is null.
template <class R>
struct PeakKernels {
  // `rounds` of independent multiply-adds in registers; returns the operations done and a value that keeps them alive.
  double (*fma)(int64_t rounds, double* keep);
  double (*dot_bf16)(int64_t rounds, double* keep);
  // Reads n values once, in order.
  R (*read)(const R* x, int64_t n);
};
}  // namespace kernels

// One measured limit, with one thread and with all of them.
struct MachineLimit {
  const char* name;  // "read", "fma f32", "dot bf16"; int8 and tile peaks join when kernels use them
  const char* unit;  // "GB/s", "GFLOP/s"
  double one;
  double all;
};

struct MachineLimits {
  Isa isa = Isa::kScalar;
  int threads = 1;
  MachineLimit read = {"read", "GB/s", 0, 0};             // of memory, over 256 MB
  MachineLimit fma_f32 = {"fma f32", "GFLOP/s", 0, 0};    //
  MachineLimit dot_bf16 = {"dot bf16", "GFLOP/s", 0, 0};  // zero where there is no such instruction

  std::vector<MachineLimit> rows() const;
  // The peak that bounds products in this class: the dot product's where the class and the tier use it, else fp32's.
  const MachineLimit& of(Numerics numerics) const {
    return numerics == Numerics::kBF16x2 && dot_bf16.all > 0 ? dot_bf16 : fma_f32;
  }
  // The faster of the two.
  const MachineLimit& fastest() const { return dot_bf16.all > fma_f32.all ? dot_bf16 : fma_f32; }
};

// About a second. Takes 256 MB for its duration.
MachineLimits measure_limits(Threads& threads, Isa isa = best_isa());

}  // namespace unha
