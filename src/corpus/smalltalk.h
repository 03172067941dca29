// SPDX-License-Identifier: Apache-2.0
// Conversations about Unha itself: greetings, who it is, what it can and cannot do, thanks, farewells. All sentences
// are our own; a program combines them.
#pragma once

#include <cstdint>
#include <vector>

#include "corpus/chat.h"

namespace unha::corpus {

// `count` conversations of one to four turns; between the turns of talk there may be a sum or another small task.
std::vector<Chat> generate_smalltalk(uint64_t seed, int64_t count);

}  // namespace unha::corpus
