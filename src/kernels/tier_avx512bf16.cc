// SPDX-License-Identifier: Apache-2.0
#if defined(__x86_64__)
#if !defined(__clang__)
// GCC 12 takes the undefined operands of its own AVX-512 intrinsics for a mistake.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include "kernels/tier_prelude.h"

#define UNHA_TIER_LANES 16
#define UNHA_TIER_BF16_DOT

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,fma,bmi,bmi2"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,fma,bmi,bmi2")
#endif

namespace unha::kernels::tier_avx512bf16 {
using Real = float;
static constexpr Isa kIsa = Isa::kAvx512Bf16;
#include "kernels/simd_avx512.inl"
#include "kernels/tier_body.inl"
}  // namespace unha::kernels::tier_avx512bf16

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif  // __x86_64__
