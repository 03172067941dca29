// SPDX-License-Identifier: Apache-2.0
// Cross entropy of one row of logits. The sum of exponentials uses 16 virtual lanes (numerics.md section 2).
#pragma once

#include <cstdint>

namespace unha::kernels {

template <class R>
struct LossKernels {
  // Returns -log softmax(z)[target] in nats. With `gradient`, z becomes scale * (softmax(z) - onehot(target)), else it
  // is overwritten.
  R (*cross_entropy)(R* z, int64_t n, int64_t target, bool gradient, R scale);
};

}  // namespace unha::kernels
