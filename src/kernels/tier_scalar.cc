// SPDX-License-Identifier: Apache-2.0
#include "kernels/tier_prelude.h"

namespace unha::kernels::tier_scalar {
using Real = float;
static constexpr Isa kIsa = Isa::kScalar;
#include "kernels/simd_scalar.inl"
#include "kernels/tier_body.inl"
}  // namespace unha::kernels::tier_scalar
