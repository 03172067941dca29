// SPDX-License-Identifier: Apache-2.0
// A golden case of stored formats: blocks as bytes and the numbers they stand for.
#pragma once

#include "engine/conform/checks.h"
#include "engine/conform/golden.h"

namespace unha {

// Whether the golden is one: it describes no sequences, and stores <TYPE>.blocks.
bool holds_blocks(const Golden& golden);

// Every number of <TYPE>.blocks [blocks, bytes], widened block by block and as one row, has the bits of <TYPE>.values.
void check_blocks(const Golden& golden, Checks& checks);

}  // namespace unha
