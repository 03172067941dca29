// SPDX-License-Identifier: Apache-2.0
// Contractions. Included inside a tier's namespace, after simd and math. UNHA_TIER_LANES: floats in a register of the
// tier, if it has vectors.

#ifdef UNHA_TIER_LANES
#include "kernels/gemm_tile.inl"
// gemm_pack.inl uses the names of gemm_tile.inl.
#include "kernels/gemm_pack.inl"
#else
#include "kernels/gemm_plain.inl"
#endif
