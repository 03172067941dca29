// SPDX-License-Identifier: Apache-2.0
// `unha inspect PATH`: what a model folder holds, counted from its config and headers.
#pragma once

#include "app/global_options.h"

namespace unha {

void add_inspect_command(CLI::App& root, Global& global, Action& action);

}  // namespace unha
