// SPDX-License-Identifier: Apache-2.0
// A golden case with a checkpoint: loads it as a user would and compares.
#pragma once

#include "engine/conform/checks.h"
#include "engine/conform/golden.h"

namespace unha {

void check_model(Golden& golden, const ConformOptions& options, Checks& checks);

}  // namespace unha
