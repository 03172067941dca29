// SPDX-License-Identifier: Apache-2.0
#if defined(__x86_64__)
#include "kernels/tier_prelude.h"

#define UNHA_TIER_LANES 8

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,bmi,bmi2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2")
#endif

namespace unha::kernels::tier_avx2 {
using Real = float;
static constexpr Isa kIsa = Isa::kAvx2;
#include "kernels/simd_avx2.inl"
#include "kernels/tier_body.inl"
}  // namespace unha::kernels::tier_avx2

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif  // __x86_64__
