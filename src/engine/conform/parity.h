// SPDX-License-Identifier: Apache-2.0
// The promise "same bytes" on a golden case: however a sequence is cut, with drafts or without, on one thread or two.
#pragma once

#include <string>
#include <vector>

#include "engine/conform/golden.h"
#include "engine/conform/pass.h"

namespace unha {

// Lengths of the pieces in which `total` tokens are read.
using Cutting = std::vector<int64_t>;
Cutting cut_evenly(int64_t total, int64_t piece);
Cutting cut_growing(int64_t total);  // 1, 2, 3, ...

// Each of these returns what differs, or "".

// The sequence read in pieces through a cache, logits of every row, against the whole pass.
std::string pieces_differ(Engine& engine, const GoldenSequence& sequence, const WholePass& whole,
                          const Cutting& cutting);
// The first module of multi-token prediction fed token by token behind the trunk.
std::string drafter_differs(Engine& engine, const GoldenSequence& sequence, const WholePass& whole);
// The whole pass and growing pieces on another engine (of another number of threads).
std::string engines_differ(Engine& other, const GoldenSequence& sequence, const WholePass& whole);
// Replies of n tokens with drafts against replies without, greedy and sampled; adds to *drafted.
std::string drafts_differ(Engine& engine, const std::vector<int32_t>& prompt, int64_t n, int64_t* drafted);

}  // namespace unha
