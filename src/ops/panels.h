// SPDX-License-Identifier: Apache-2.0
// The weight of a product, W [N, K] as B = W^T, in panels of kPanel rows of W. Panels are packed once and kept where
// they are no larger than what is stored; else a thread widens and packs a few of them in scratch of its own each time
// it multiplies, so that no model is ever copied as a whole. Both give the same bytes: packing rounds each value once.
#pragma once

#include "ops/ctx.h"
#include "ops/weight.h"

namespace unha::ops {

// Whether panels of w are kept in w.forms[0] (packed_panels of ops/matmul.h). Operands of the class are as wide as
// `operand`.
inline bool keeps_panels(DType operand, const Weight& w) {
  return w.stored.empty() && dtype_bytes(operand) <= dtype_bytes(w.value.dtype());
}
inline bool keeps_panels(const Ctx& ctx, const Weight& w) { return keeps_panels(ctx.operand(), w); }

// Only float tensors take gradients: a check, when `op` is recorded.
void check_gradients(const Ctx& ctx, const Weight& w, const char* op);

// What a thread needs to multiply with panels that are not kept, whatever the shape.
template <class R>
int64_t panel_scratch_bytes(const kernels::GemmKernels<R>& gemm);

// C[M, n1 - n0] = A[M, K] . rows [n0, n1) of W, transposed; by one thread. a: as the kernels take it, rows lda apart;
// n0: a multiple of kPanel; c: its first column is n0. Panels that are kept must be up to date; otherwise scratch is
// panel_scratch_bytes() of memory, 64-byte aligned.
template <class R>
void multiply_columns(const Ctx& ctx, const std::byte* a, int64_t lda, const Weight& w, int64_t n0, int64_t n1,
                      int64_t M, R* c, int64_t ldc, std::byte* scratch);

extern template int64_t panel_scratch_bytes<float>(const kernels::GemmKernels<float>&);
extern template int64_t panel_scratch_bytes<double>(const kernels::GemmKernels<double>&);
extern template void multiply_columns<float>(const Ctx&, const std::byte*, int64_t, const Weight&, int64_t, int64_t,
                                             int64_t, float*, int64_t, std::byte*);
extern template void multiply_columns<double>(const Ctx&, const std::byte*, int64_t, const Weight&, int64_t, int64_t,
                                              int64_t, double*, int64_t, std::byte*);

}  // namespace unha::ops
