// SPDX-License-Identifier: Apache-2.0
// Block-scaled FP8 (deepseek-v3.md section 5): value = e4m3 * scale of its block, rounded once to f32.
#pragma once

#include "quant/stored_matrix.h"

namespace unha {

// out[i] *= scale of (row, begin + i), i < count; out holds e4m3 values. The product is exact before its one rounding,
// a subnormal one too, whether or not the thread flushes denormals.
void apply_scales(const BlockScales& scales, int64_t row, int64_t begin, int64_t count, float* out);

}  // namespace unha
