// SPDX-License-Identifier: Apache-2.0
// `unha conform PATHS...`: proves this program on golden cases.
#pragma once

#include "app/global_options.h"

namespace unha {

void add_conform_command(CLI::App& root, Global& global, Action& action);

}  // namespace unha
