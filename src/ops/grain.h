// SPDX-License-Identifier: Apache-2.0
// How many rows of an elementwise op a thread takes at once: enough to pay for the hand-out, few enough to share.
#pragma once

#include <algorithm>
#include <cstdint>

namespace unha::ops {

inline int64_t row_grain(int64_t cols) { return std::max<int64_t>(1, 16384 / std::max<int64_t>(1, cols)); }

}  // namespace unha::ops
