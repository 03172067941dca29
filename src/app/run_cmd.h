// SPDX-License-Identifier: Apache-2.0
// `unha run MODEL -p TEXT`: one reply on standard output.
#pragma once

#include "app/global_options.h"

namespace unha {

void add_run_command(CLI::App& root, Global& global, Action& action);

}  // namespace unha
