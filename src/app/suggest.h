// SPDX-License-Identifier: Apache-2.0
// "Did you mean": the nearest of a few known words.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace unha {

// Insertions, deletions, replacements and swaps of neighbours that turn a into b.
int edit_distance(std::string_view a, std::string_view b);

// The known word nearest to `word`, empty if none is near enough to be a slip of the fingers.
std::string nearest_word(std::string_view word, const std::vector<std::string>& known);

}  // namespace unha
