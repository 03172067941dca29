// SPDX-License-Identifier: Apache-2.0
// 128-bit integers, which GCC and clang have but ISO C++ does not.
#pragma once

namespace unha {
__extension__ using uint128 = unsigned __int128;
}  // namespace unha
