// SPDX-License-Identifier: Apache-2.0
// Where the bundled model is and where a user's state goes.
#pragma once

#include <string>

namespace unha {

// models/unha-tiny beside the program, in one of the folders above it, or under share/unha of its prefix.
// Error(kNotFound) lists where it was looked for.
std::string bundled_model();

// $XDG_STATE_HOME/unha/NAME or ~/.local/state/unha/NAME, its folder made; empty if there is no home.
std::string state_file(const std::string& name);

}  // namespace unha
