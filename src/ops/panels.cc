// SPDX-License-Identifier: Apache-2.0
#include "ops/panels.h"

#include <algorithm>

namespace unha::ops {

using kernels::Accumulate;
using kernels::GemmKernels;
using kernels::kPanel;

namespace {

constexpr int64_t kWide = 4;             // panels at once: as wide as one row of A keeps the registers busy
constexpr int64_t kStretch = 512;        // of k at once: blocks of every format end there
constexpr int64_t kRow = kStretch + 16;  // of a widened row, so that rows do not share a set of L1

// Panels of rows [n0, n0 + n) of W, n <= kPanel, over [k0, k0 + k).
template <class R>
void pack_panel(const GemmKernels<R>& gemm, const Weight& w, int64_t n0, int64_t n, int64_t k0, int64_t k,
                [[maybe_unused]] R* widened, std::byte* dst) {
  if (w.stored.empty()) {
    const Tensor& value = w.value;
    int64_t first = n0 * value.stride() + k0;
    if (value.dtype() == DType::kBF16) {
      gemm.pack_b_bf16(value.data<uint16_t>() + first, 1, value.stride(), k, n, dst);
    } else {
      gemm.pack_b(value.data<R>() + first, 1, value.stride(), k, n, dst);
    }
    return;
  }
  if constexpr (sizeof(R) == sizeof(float)) {
    for (int64_t i = 0; i < n; ++i) w.stored.widen(n0 + i, k0, k, widened + i * kRow);
    gemm.pack_b(widened, 1, kRow, k, n, dst);
  } else {
    UNHA_CHECK(false, "a weight of {} in class f64", format_name(w.stored.format));
  }
}

}  // namespace

void check_gradients(const Ctx& ctx, const Weight& w, const char* op) {
  UNHA_CHECK(ctx.tape == nullptr || w.stored.empty(),
             "{}: a weight stored as {} takes no part in gradients, only float tensors do", op,
             format_name(w.stored.format));
}

template <class R>
int64_t panel_scratch_bytes(const GemmKernels<R>& gemm) {
  return kWide * gemm.panel_bytes(kStretch) + kPanel * kRow * static_cast<int64_t>(sizeof(R));
}

template <class R>
void multiply_columns(const Ctx& ctx, const std::byte* a, int64_t lda, const Weight& w, int64_t n0, int64_t n1,
                      int64_t M, R* c, int64_t ldc, std::byte* scratch) {
  const GemmKernels<R>& gemm = ctx.kernels<R>().gemm(ctx.numerics);
  int64_t K = w.cols();
  if (keeps_panels(ctx, w)) {
    UNHA_DCHECK(w.forms[0].version == w.version, "panels of version {} of a weight of version {}", w.forms[0].version,
                w.version);
    gemm.multiply(a, lda, w.forms[0].data + n0 / kPanel * gemm.panel_bytes(K), M, n1 - n0, K, c, ldc, Accumulate::kSet);
    return;
  }
  auto* widened = reinterpret_cast<R*>(scratch + kWide * gemm.panel_bytes(kStretch));
  for (int64_t n = n0; n < n1; n += kWide * kPanel) {
    int64_t end = std::min(n1, n + kWide * kPanel);
    for (int64_t k0 = 0; k0 < K; k0 += kStretch) {
      int64_t k = std::min(kStretch, K - k0);
      for (int64_t p = n; p < end; p += kPanel) {
        pack_panel(gemm, w, p, std::min(kPanel, end - p), k0, k, widened,
                   scratch + (p - n) / kPanel * gemm.panel_bytes(k));
      }
      gemm.multiply(a + k0 * gemm.element_bytes, lda, scratch, M, end - n, k, c + (n - n0), ldc,
                    k0 == 0 ? Accumulate::kSet : Accumulate::kContinue);
    }
  }
}

template int64_t panel_scratch_bytes<float>(const GemmKernels<float>&);
template int64_t panel_scratch_bytes<double>(const GemmKernels<double>&);
template void multiply_columns<float>(const Ctx&, const std::byte*, int64_t, const Weight&, int64_t, int64_t, int64_t,
                                      float*, int64_t, std::byte*);
template void multiply_columns<double>(const Ctx&, const std::byte*, int64_t, const Weight&, int64_t, int64_t, int64_t,
                                       double*, int64_t, std::byte*);

}  // namespace unha::ops
