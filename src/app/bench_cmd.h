// SPDX-License-Identifier: Apache-2.0
// `unha bench`: this machine's limits, then training and inference as shares of them, all in one run.
#pragma once

#include "app/global_options.h"

namespace unha {

void add_bench_command(CLI::App& root, Global& global, Action& action);

}  // namespace unha
