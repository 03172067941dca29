// SPDX-License-Identifier: Apache-2.0
// manifest.json: files and folders that are malformed, or nearly so. Each malformed one has to end in an Error, each
// valid one has to load and run.
#pragma once

#include "engine/conform/checks.h"

namespace unha {

// {"name": {"what", "valid", "level", "lenient" if either is right}}
void check_refusals(const std::string& folder, const ConformOptions& options, Checks& checks);

}  // namespace unha
