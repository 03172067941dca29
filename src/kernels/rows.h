// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace unha::kernels {

template <class R>
struct RowsKernels {};

}  // namespace unha::kernels
