// SPDX-License-Identifier: Apache-2.0
// Whether a word is on a fixed list.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace unha::corpus {

template <size_t N>
bool one_of(std::string_view word, const std::array<std::string_view, N>& words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

}  // namespace unha::corpus
