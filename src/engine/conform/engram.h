// SPDX-License-Identifier: Apache-2.0
// A golden case of the Engram module as the paper's demonstration has it: addresses from the tokenizer on, outputs,
// gates and every gradient, in each variant that is stored (engram.md).
#pragma once

#include "engine/conform/checks.h"
#include "engine/conform/golden.h"

namespace unha {

// In double, where rounding hides nothing, and in float within its own. The folder holds engram_config.json,
// tokenizer.json and model.safetensors.
void check_engram(Golden& golden, const ConformOptions& options, Checks& checks);

}  // namespace unha
