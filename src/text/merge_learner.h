// SPDX-License-Identifier: Apache-2.0
// Learns the merges of a byte-pair encoding from counted words: again and again the adjacent pair with the highest
// count becomes one token; on a tie the pair with the smallest (left id, right id). Exact counts are kept up to date
// word by word, and a heap with stale entries finds the next pair, so that a step costs what it changes.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace unha {

struct CountedWord {
  std::string bytes;
  int64_t count;
};

struct LearnedMerges {
  std::vector<std::pair<int32_t, int32_t>> merges;  // in order
  std::vector<std::string> tokens;                  // bytes of each token by id, those given at the start included
};

// symbols: the tokens to start from, by id. The first n_special of them never occur in words, and no merge may spell
// one; the others are the 256 single bytes. Stops at vocab_size tokens or when the best count is below min_count. The
// order of words does not matter.
LearnedMerges learn_merges(const std::vector<CountedWord>& words, std::vector<std::string> symbols, int64_t n_special,
                           int64_t vocab_size, int64_t min_count);

}  // namespace unha
