// SPDX-License-Identifier: Apache-2.0
#include "kernels/tier_prelude.h"

#define UNHA_TIER_F64 1

namespace unha::kernels::tier_f64 {
using Real = double;
static constexpr Isa kIsa = Isa::kScalar;
#include "kernels/simd_scalar.inl"
#include "kernels/tier_body.inl"
}  // namespace unha::kernels::tier_f64
