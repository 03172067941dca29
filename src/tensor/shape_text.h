// SPDX-License-Identifier: Apache-2.0
// A shape as messages spell it: "[3, 64]".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace unha {

inline std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

}  // namespace unha
