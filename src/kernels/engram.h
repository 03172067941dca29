// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace unha::kernels {

template <class R>
struct EngramKernels {};

}  // namespace unha::kernels
