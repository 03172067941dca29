// SPDX-License-Identifier: Apache-2.0
// What an op needs besides its inputs: memory, threads, the kernels of the chosen class and tier, a tape if gradients
// are wanted, an observer if somebody wants to look. Mode is data: there is no "if (training)" anywhere in a module.
#pragma once

#include "base/arena.h"
#include "base/threads.h"
#include "kernels/kernels.h"
#include "ops/tape.h"
#include "tensor/tensor.h"

namespace unha {

// Sees named tensors as they are made (tests, goldens, --stats, the NaN guard). layer: -1 outside of layers.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void observe(const char* name, int layer, const Tensor& value) = 0;
};

struct Ctx {
  Arena& arena;
  Threads& threads;
  Numerics numerics = Numerics::kF32;
  const kernels::Kernels<float>* f32 = nullptr;   // classes f32 and bf16x2
  const kernels::Kernels<double>* f64 = nullptr;  // the test-only class f64
  Tape* tape = nullptr;
  Observer* observer = nullptr;
  bool replay = false;  // ops/recompute.h runs its body again: results on the side were taken the first time

  DType real() const { return numerics == Numerics::kF64 ? DType::kF64 : DType::kF32; }
  // What a cache holds, and operands of linear layers and attention are rounded to.
  DType operand() const { return numerics == Numerics::kBF16x2 ? DType::kBF16 : real(); }

  // A new activation [rows, cols], not initialised; tracked if a tape records.
  Tensor make(int64_t rows, int64_t cols) {
    Tensor t = scratch(real(), rows, cols);
    return tape != nullptr ? tape->track(t) : t;
  }
  // Memory of the step without a gradient.
  Tensor scratch(DType dtype, int64_t rows, int64_t cols) {
    void* data = arena.allocate(static_cast<size_t>(rows * cols * dtype_bytes(dtype)));
    return {data, dtype, rows, cols};
  }
  void observe(const char* name, int layer, const Tensor& value) const {
    if (observer != nullptr) observer->observe(name, layer, value);
  }

  template <class R>
  const kernels::Kernels<R>& kernels() const {
    if constexpr (sizeof(R) == 8) {
      return *f64;
    } else {
      return *f32;
    }
  }
  // Calls f(R{}) with the scalar of the class: ctx.with_real([&](auto r) { using R = decltype(r); ... });
  template <class F>
  decltype(auto) with_real(F&& f) const {
    return numerics == Numerics::kF64 ? f(double{}) : f(float{});
  }
};

// A Ctx for a class on a tier. Error(kUsage) if the machine lacks it.
inline Ctx make_ctx(Arena& arena, Threads& threads, Numerics numerics, Isa isa) {
  Ctx ctx{arena, threads, numerics};
  if (numerics == Numerics::kF64) {
    ctx.f64 = &kernels::kernels_f64();
  } else {
    ctx.f32 = &kernels::kernels_for(isa);
  }
  return ctx;
}

}  // namespace unha
