// SPDX-License-Identifier: Apache-2.0
// Wall-clock time, for figures alone: no result depends on it.
#pragma once

#include <chrono>

namespace unha {

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace unha
