// SPDX-License-Identifier: Apache-2.0
// The K largest of n scores: ties to the lower index, result ascending in index. Always K distinct valid indices, even
// if scores are NaN.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/error.h"

namespace unha::ops {

template <class R>
void top_k(const R* scores, int64_t n, int64_t k, int32_t* ids) {
  UNHA_DCHECK(k >= 1 && k <= n, "{} of {}", k, n);
  // A sorted list of the best so far; a newcomer must be strictly better to pass one that came earlier.
  int64_t held = 0;
  for (int64_t i = 0; i < n; ++i) {
    R score = scores[i];
    if (held == k && !(score > scores[ids[k - 1]])) continue;
    int64_t at = held < k ? held++ : k - 1;
    for (; at > 0 && score > scores[ids[at - 1]]; --at) ids[at] = ids[at - 1];
    ids[at] = static_cast<int32_t>(i);
  }
  std::sort(ids, ids + k);
}

}  // namespace unha::ops
